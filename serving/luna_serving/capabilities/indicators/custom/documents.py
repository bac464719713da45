"""Parses the body of a PUT, and renders a stored indicator; its entity tags."""

import uuid
from typing import Final

from luna_serving.capabilities.indicators.custom.schemas import CustomIndicatorAnswer, PutIndicator
from luna_serving.capabilities.indicators.store.custom import StoredIndicator
from luna_serving.engines.indicators.expressions import Expression, Fault, indicators_of, parse
from luna_serving.wire import problems
from luna_serving.wire.conditions import EntityTags
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError, Problem

TAGS: Final = EntityTags("[0-9a-f]{32}", uuid.UUID, lambda revision: revision.hex, what="an indicator")
POINTER: Final = "/expression"


def read_expression(body: bytes) -> tuple[str, Expression]:
    """The text of a PUT, and what it means.

    Raises:
        Problem: 422; for an expression with `offset` and `length` of the place in it.
    """
    form = read_form(PutIndicator, read_object(body, "", 0))
    try:
        return form.expression, parse(form.expression)
    except Fault as e:
        raise faulty(e) from e


def faulty(fault: Fault) -> Problem:
    """422, with the place in the expression."""
    problem = problems.invalid(FieldError(POINTER, f"{fault.message} {fault.cure}"))
    place = {"reason": fault.reason.value, "offset": fault.offset, "length": fault.length}
    errors = [{**each, **place} for each in problem.extra["errors"]]
    return Problem(
        problem.slug,
        problem.status,
        problem.title,
        problem.detail,
        problem.headers,
        {**problem.extra, "errors": errors},
    )


def shown(stored: StoredIndicator) -> CustomIndicatorAnswer:
    """A stored indicator as answers have it."""
    try:
        expression = parse(stored.expression)
    except Fault:
        # An indicator in it is not in the catalogue any more: shown all the same, so that it can be corrected.
        indicators, lookback, stability = [], 0, "invalid"
    else:
        indicators, lookback = list(indicators_of(expression)), expression.lookback
        stability = expression.stability.value
    return CustomIndicatorAnswer(
        name=stored.name,
        expression=stored.expression,
        indicators=indicators,
        lookback=lookback,
        stability=stability,
        created_at=stored.created_at,
        changed_at=stored.changed_at,
    )
