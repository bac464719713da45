"""Parses the body and the conditions of a PUT, and renders a stored indicator."""

import re
import uuid
from collections.abc import Sequence
from typing import Final

from luna_serving.capabilities.indicators.custom.schemas import CustomIndicatorAnswer, PutIndicator
from luna_serving.capabilities.indicators.store.custom import Expected, StoredIndicator
from luna_serving.engines.indicators.expressions import Expression, Fault, indicators_of, parse
from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError, Problem

ENTITY_TAG: Final = re.compile(r'\s*(W/)?"([0-9a-f]{32})"\s*')
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


def expected_of(if_match: Sequence[str] | None, if_none_match: Sequence[str] | None) -> Expected:
    """The conditions of a PUT or a DELETE (RFC 9110, section 13.1).

    Raises:
        Problem: 422, a condition that is not supported.
    """
    match, none_match = ",".join(if_match or ()), ",".join(if_none_match or ())
    if if_none_match is not None and none_match.strip() != "*":
        wrong = (
            "Takes only * here: to put an indicator unless there is one. To change one that was read, send If-Match."
        )
        raise problems.invalid(FieldError("/header/if-none-match", wrong))
    exists = False if if_none_match is not None else (True if match.strip() == "*" else None)
    return Expected(exists, revisions_of(match, weak=False) if if_match is not None and exists is None else None)


def revisions_of(tags: str, *, weak: bool) -> frozenset[uuid.UUID]:
    """The revisions among entity tags; `weak` tags count if the comparison may be weak."""
    found = (ENTITY_TAG.fullmatch(tag) for tag in tags.split(","))
    return frozenset(uuid.UUID(m[2]) for m in found if m and (weak or not m[1]))


def entity_tag(revision: uuid.UUID) -> str:
    """A revision as an entity tag: strong, because it always means the same document."""
    return f'"{revision.hex}"'
