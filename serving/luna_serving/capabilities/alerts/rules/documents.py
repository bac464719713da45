"""Reads and checks the body of a rule; the entity tags of stored ones."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.alerts.rules.language import parse
from luna_serving.capabilities.alerts.rules.rule import Rule, kind_of, rule_of
from luna_serving.capabilities.alerts.rules.schemas import FORMS
from luna_serving.capabilities.alerts.templates.template import TemplateWrong, parse_template
from luna_serving.engines.promql import api as promql
from luna_serving.webhooks.addresses import Allowed, UrlRefused, check_url
from luna_serving.wire import problems
from luna_serving.wire.conditions import EntityTags
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.pointers import pointer_of
from luna_serving.wire.problems import FieldError, Problem

VECTOR: Final = frozenset({"vector", "scalar"})
TAGS: Final = EntityTags("[0-9a-f]{32}", uuid.UUID, lambda revision: revision.hex, what="a rule")
NO_ID: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule that may be stored."""

    document: Mapping[str, Any]
    """As it was put, without nulls."""
    rule: Rule
    """With an id and an account of zero."""


def read_rule(body: bytes, allowed: Allowed) -> Checked:
    """Parse and check a rule.

    Args:
        body: JSON.
        allowed: where webhooks may go.

    Raises:
        Problem: 422, with pointers; for PromQL with the place in it.
    """
    return check_rule(read_object(body, "", 0), allowed)


def check_rule(members: dict[str, Any], allowed: Allowed) -> Checked:
    """Check a rule; errors as of `read_rule`."""
    # A null is what was left out, also in what a GET answered.
    members = {name: value for name, value in members.items() if value is not None}
    if not members.keys() & {"expr", "metric"}:
        raise problems.invalid(
            FieldError("/expr", "Give `expr`, or `metric` with `condition` and `threshold` or with `kind: anomaly`.")
        )
    if "for" in members and "duration" in members:
        raise problems.invalid(FieldError("/duration", "Is the same as `for`: leave one out."))
    form = read_form(FORMS[kind_of(members)], members)
    document = form.to_json()
    _check_templates(document)
    if (webhook := document.get("webhook")) is not None:
        try:
            check_url(webhook, allowed)
        except UrlRefused as e:
            raise problems.invalid(FieldError("/webhook", str(e))) from e
    rule = rule_of(NO_ID, 0, NO_ID, document)
    _check_query(rule)
    return Checked(document, rule)


def _check_templates(document: Mapping[str, Any]) -> None:
    wrong = []
    templated = ("annotations", "labels") if kind_of(document) == "expr" else ("annotations",)
    texts: list[tuple[tuple[str, ...], Any]] = [
        ((member, name), text) for member in templated for name, text in document.get(member, {}).items()
    ]
    texts += [(("severity",), document["severity"])] if "severity" in document else []
    for path, text in texts:
        try:
            parse_template(text)
        except TemplateWrong as e:
            wrong.append(FieldError(pointer_of(path), str(e)))
    if wrong:
        raise problems.invalid(*wrong)


def _check_query(rule: Rule) -> None:
    pointer = "/expr" if rule.kind == "expr" else "/metric"
    try:
        parsed = parse(rule.query)
    except promql.PromqlError as e:
        raise faulty(e, pointer) from e
    if parsed.type not in VECTOR:
        detail = f"Is a {parsed.type}: a rule needs an instant vector or a scalar."
        raise problems.invalid(FieldError(pointer, detail))


def faulty(error: promql.PromqlError, pointer: str) -> Problem:
    """422, with the place in the query."""
    problem = problems.invalid(FieldError(pointer, str(error)))
    place = error.position
    if place is None:
        return problem
    where = {"offset": place.offset, "line": place.line, "column": place.column}
    errors = [{**each, **where} for each in problem.extra["errors"]]
    return Problem(problem.slug, problem.status, problem.title, problem.detail, problem.headers, {"errors": errors})
