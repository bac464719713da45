"""The filters of `GET /jobs/`, read from its query."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import AwareDatetime

from luna_serving.edge.cursors import Cursors
from luna_serving.edge.query import Instant, in_utc
from luna_serving.jobs.routes.creation import LONGEST_KEY, LONGEST_VALUE, MOST_LABELS
from luna_serving.jobs.routes.schemas import Order
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.jobs.reading import Filter
from luna_store.jobs.states import JobStatus

LABEL: Final = "label."
NEWEST_FIRST: Final = "-created_at"
Key = tuple[datetime, uuid.UUID]
# A cursor of one order means nothing in the other.
CURSORS: Final = {
    order: Cursors[Key](f"jobs {order}", tuple[AwareDatetime, uuid.UUID]) for order in ("created_at", NEWEST_FIRST)
}
LABELS: Final = {
    "name": LABEL + "{key}",
    "in": "query",
    "required": False,
    "description": "Only jobs whose label of this key has this value: `label.desk=fx`. Several must all hold.",
    "schema": {"type": "string", "maxLength": LONGEST_VALUE},
}


def filters(
    request: Request,
    status: Annotated[
        list[str] | None, Query(description="One or several, by commas or by several parameters: any of them.")
    ] = None,
    kind: Annotated[str | None, Query(max_length=100, pattern=r"^[\x20-\x7e]+$", description="A kind.")] = None,
    created_after: Annotated[Instant | None, Query(description="Inclusive.")] = None,
    created_before: Annotated[Instant | None, Query(description="Exclusive.")] = None,
    order: Annotated[Order, Query(description="`-created_at` lists the newest first.")] = NEWEST_FIRST,
) -> Filter:
    """Read the filters.

    Raises:
        Problem: 422.
    """
    start = None if created_after is None else in_utc("/query/created_after", created_after)
    end = None if created_before is None else in_utc("/query/created_before", created_before)
    if start is not None and end is not None and start >= end:
        raise problems.invalid(FieldError("/query/created_after", "Must lie before `created_before`."))
    return Filter(
        statuses=statuses(status or ()),
        kind=kind,
        labels=labels(request.query_params.multi_items()),
        created_after=start,
        created_before=end,
        newest_first=order == NEWEST_FIRST,
    )


def order_of(which: Filter) -> str:
    """The order of a list, as the query names it."""
    return NEWEST_FIRST if which.newest_first else "created_at"


def statuses(given: Iterable[str]) -> tuple[JobStatus, ...]:
    """The statuses of `status=a,b&status=c`.

    Raises:
        Problem: 422.
    """
    words = [word.strip() for each in given for word in each.split(",")]
    try:
        return tuple(dict.fromkeys(JobStatus(word) for word in words))
    except ValueError as e:
        raise problems.invalid(FieldError("/query/status", f"Must be of {', '.join(JobStatus)}.")) from e


def labels(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The labels of `label.desk=fx&label.team=a`.

    Raises:
        Problem: 422.
    """
    found: dict[str, str] = {}
    for name, value in parameters:
        if not name.startswith(LABEL):
            continue
        key = name.removeprefix(LABEL)
        pointer = f"/query/{name[: len(LABEL) + LONGEST_KEY].replace('~', '~0').replace('/', '~1')}"
        if not 1 <= len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE or "\0" in name + value:
            wrong = f"A key has 1 to {LONGEST_KEY} characters, a value at most {LONGEST_VALUE}, without NUL."
            raise problems.invalid(FieldError(pointer, wrong))
        if key in found:
            raise problems.invalid(FieldError(pointer, "May be given once: a job has one value of a label."))
        found[key] = value
    if len(found) > MOST_LABELS:
        raise problems.invalid(FieldError("/query", f"May hold {MOST_LABELS} labels, as many as a job may have."))
    return found
