"""Runs a route's calls of a store: returns the result in time, or raises the problem for the error."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from redis.exceptions import RedisError

from luna_serving.dispatch.deadline import answer_within
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.platform.postgres import POSTGRES_GONE
from luna_store.quota.debits import StoreUnavailable

# Longer than a writer waits for a lock, shorter than any request may take.
STORE_ANSWER_S: Final = 5.0
OUTAGES: Final = (*POSTGRES_GONE, RedisError, StoreUnavailable)

Meanings = Mapping[type[Exception], Callable[[Any], Problem]]
T = TypeVar("T")


async def store_answer(question: Awaitable[T], name: str, meanings: Meanings = MappingProxyType({})) -> T:
    """Run a call of a store.

    Args:
        question: the awaitable of the repository.
        name: the store's name in the problem of a 503, such as "The model store".
        meanings: problems for the repository's errors, by class or base class.

    Raises:
        Problem: from `meanings`; 503 if the store is unreachable or takes more than `STORE_ANSWER_S`.
    """
    try:
        return await answer_within(STORE_ANSWER_S, _asked(question))
    except OUTAGES as e:
        raise _meant(e, meanings) or problems.dependencies_gone(name) from e
    except Exception as e:
        problem = _meant(e, meanings)
        if problem is None:
            raise
        raise problem from e


def _meant(error: Exception, meanings: Meanings) -> Problem | None:
    return next((meanings[kind](error) for kind in type(error).__mro__ if kind in meanings), None)


async def _asked(question: Awaitable[T]) -> T:
    return await question
