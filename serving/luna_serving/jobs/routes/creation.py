"""Reads the body of `POST /jobs/`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from luna_serving.jobs.kinds import JobPlan, Prepare
from luna_serving.jobs.routes.schemas import EXAMPLE_REQUEST
from luna_serving.jobs.service import Options
from luna_serving.webhooks.addresses import Allowed, UrlRefused, check_url
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError, Problem
from luna_serving.wire.strict import StrictModel

PARAMETERS: Final = "/parameters"
MOST_LABELS: Final = 16
LONGEST_KEY: Final = 63
LONGEST_VALUE: Final = 255
PRIORITIES: Final = (-100, 100)
# RFC 3339, section 5.6.
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _instant(text: str) -> str:
    try:
        if _INSTANT.fullmatch(text):
            datetime.fromisoformat(text.upper()).astimezone(UTC)
            return text
    except (ValueError, OverflowError):
        pass
    raise ValueError("Must be a time of RFC 3339 with its zone, such as 2027-01-31T12:00:00Z")


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name, value in labels.items():
        if not 1 <= len(name) <= LONGEST_KEY:
            raise ValueError(f"A label's key must have 1 to {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise ValueError(f"A label's value may have {LONGEST_VALUE} characters")
        if _CONTROL.search(name) or _CONTROL.search(value):
            raise ValueError("A label may hold no control characters")
    return labels


class JobRequest(StrictModel):
    """Queue a computation."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_REQUEST]})

    kind: str = Field(max_length=100, description="The route whose body the parameters are, such as `kalman/fit`.")
    parameters: dict[str, Any] = Field(description="The body of that route.")
    priority: int = Field(
        0, ge=PRIORITIES[0], le=PRIORITIES[1], description="Among the account's own jobs; higher ones first."
    )
    deadline: Annotated[str, StringConstraints(max_length=64), AfterValidator(_instant)] | None = Field(
        None,
        description="RFC 3339. Queued or running, the job ends `expired` then. Default, and at most: in 5 days.",
        json_schema_extra={"format": "date-time"},
    )
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        {}, max_length=MOST_LABELS, description="Lists can be filtered by them."
    )
    webhook: str | None = Field(None, description="An https URL that gets a signed message when the job ends.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job that a caller wants, its parameters not checked yet."""

    kind: str
    parameters: bytes
    options: Options


def read_request(body: bytes, kinds: Mapping[str, object], webhooks: Allowed, now: datetime) -> Wanted:
    """Read a body; call it in a thread if the body is large.

    Args:
        body: JSON.
        kinds: the kinds that there are, by name.
        webhooks: where webhooks may go.
        now: deadlines lie after it.

    Raises:
        Problem: 422.
    """
    form = read_form(JobRequest, read_object(body, "parameters", SPARE_LISTS))
    errors = []
    if form.kind not in kinds:
        names = ", ".join(sorted(kinds)) or "none are served here"
        errors.append(FieldError("/kind", f"Is no kind of job. The kinds are: {names}."))
    deadline = None if form.deadline is None else datetime.fromisoformat(form.deadline.upper()).astimezone(UTC)
    if deadline is not None and deadline <= now:
        errors.append(FieldError("/deadline", "Must lie in the future."))
    try:
        if form.webhook is not None:
            check_url(form.webhook, webhooks)
    except UrlRefused as e:
        errors.append(FieldError("/webhook", str(e)))
    if errors:
        raise problems.invalid(*errors)
    return Wanted(form.kind, orjson.dumps(form.parameters), Options(form.priority, deadline, form.labels, form.webhook))


async def prepared(prepare: Prepare, account_id: int, parameters: bytes) -> JobPlan:
    """Check the parameters in full.

    Raises:
        Problem: 422 with pointers into the body of the POST; 404, a model that the parameters name; 503.
    """
    try:
        return await prepare(account_id, parameters)
    except Problem as problem:
        raise below(problem, PARAMETERS) from problem


def below(problem: Problem, pointer: str) -> Problem:
    """A problem whose pointers begin at a member of the body."""
    errors = problem.extra.get("errors")
    if not errors:
        return problem
    if problem.slug == "invalid":
        moved_errors = (FieldError(pointer + each["pointer"], each["detail"]) for each in errors)
        facts = {name: value for name, value in problem.extra.items() if name != "errors"}
        return problems.invalid(*moved_errors, facts=facts)
    moved = [{**each, "pointer": pointer + each["pointer"]} for each in errors]
    return replace(problem, extra={**problem.extra, "errors": moved})
