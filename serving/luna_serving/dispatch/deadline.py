"""Giving up a question to a store in time, however long its driver takes to let go of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# The loop itself holds its tasks weakly.
_given_up: set[asyncio.Task[Any]] = set()


async def answer_within(seconds: float, question: Coroutine[Any, Any, T]) -> T:
    """The answer, if it comes in time.

    `asyncio.timeout` waits for the cancelled question to end, and psycopg asks a server that hangs for ten seconds
    to cancel its query. Here that goes on behind the caller's back.

    Raises:
        TimeoutError: it did not come; the question is cancelled.
    """
    task = asyncio.get_running_loop().create_task(question)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _give_up(task)
        raise
    if not done:
        _give_up(task)
        raise TimeoutError
    return task.result()


def _give_up(task: asyncio.Task[Any]) -> None:
    _given_up.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _given_up.discard(task)
    if not task.cancelled():
        # Looked at, so that asyncio does not report an error that nobody waited for.
        task.exception()
