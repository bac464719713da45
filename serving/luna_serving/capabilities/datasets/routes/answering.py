"""What the errors of the stores mean to a caller."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from luna_serving.capabilities.datasets.store.records import NotNow, SetNotFound, SetRecord, State
from luna_serving.capabilities.datasets.store.starting import NoRoom, TooManySets
from luna_serving.capabilities.datasets.wire.answers import set_url, status_url
from luna_serving.edge.store_answers import store_answer
from luna_serving.objects.errors import ObjectMissing, StoreGone, StoreRefused
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.accounts.accounts import AccountNotFound
from luna_store.platform.idempotency import ClaimLost
from luna_store.platform.postgres import POSTGRES_GONE
from luna_store.quota.debits import StoreUnavailable

log = logging.getLogger("luna.datasets")

SETS: Final = "The store of data sets"
OBJECTS: Final = "The object store"
T = TypeVar("T")


def storage_full(error: NoRoom) -> Problem:
    """413: the account may not store so many bytes."""
    return Problem(
        "storage-full",
        413,
        "The account may not store so many bytes.",
        str(error),
        extra={"bytes": error.wanted, "used": error.used, "limit": error.most},
    )


def wrong_state(record: SetRecord) -> Problem:
    """409 or 410: the state of the set does not allow it."""
    extra = {"dataset_id": str(record.id), "state": record.state.value}
    if record.state is State.EXPIRED:
        detail = f"{record.reference} was not completed in time. Start it again: POST /upload/start."
        return Problem("upload-expired", 410, "The upload has expired.", detail, extra=extra)
    if record.state.has_report:
        detail = f"{record.reference} is {record.state}. GET {set_url(record)} shows it."
    else:
        detail = f"{record.reference} is {record.state}. Wait for its verdict: GET {status_url(record)}."
    return Problem("dataset-state", 409, "The state of the data set does not allow this.", detail, extra=extra)


def _refused(error: StoreRefused) -> Problem:
    # For the administrators: the caller can only wait.
    log.error("the object store refuses a call: %s", error)
    return problems.dependencies_gone(OBJECTS)


MEANINGS: Final[dict[type[Exception], Callable[[Any], Problem]]] = {
    SetNotFound: lambda e: problems.not_found(str(e)),
    AccountNotFound: lambda e: problems.not_found(str(e)),
    NotNow: lambda e: wrong_state(e.record),
    NoRoom: storage_full,
    TooManySets: lambda e: problems.limit_reached(str(e)),
    ObjectMissing: lambda _: problems.not_found(
        "The object store no longer has it. Delete the data set and send it again."
    ),
    StoreGone: lambda _: problems.dependencies_gone(OBJECTS),
    StoreRefused: _refused,
}
_OUTAGES: Final = (*POSTGRES_GONE, StoreUnavailable)


async def rows(question: Awaitable[T]) -> T:
    """The answer of Postgres, within the time that every store has.

    Raises:
        Problem: what the error means; 503.
    """
    return await store_answer(question, SETS, MEANINGS)


async def answered(question: Awaitable[T]) -> T:
    """The answer of a call that asks both stores, each of which has its own time.

    Raises:
        Problem: what the error means; 503.
    """
    try:
        return await question
    except (Problem, ClaimLost):
        raise
    except tuple(MEANINGS) as e:
        meaning = next(MEANINGS[kind] for kind in type(e).__mro__ if kind in MEANINGS)
        raise meaning(e) from e
    except _OUTAGES as e:
        raise problems.dependencies_gone(SETS) from e
