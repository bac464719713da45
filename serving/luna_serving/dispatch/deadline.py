"""Deadlines for queries to stores, however long the driver takes to cancel a query."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# Strong references: the event loop keeps only weak ones.
_given_up: set[asyncio.Task[Any]] = set()


async def answer_within(seconds: float, question: Coroutine[Any, Any, T]) -> T:
    """The answer, if it arrives in time.

    `asyncio.timeout` waits for the cancelled query to end, and psycopg spends up to ten seconds asking a hanging server
    to cancel it. Here the cancellation continues in the background.

    Raises:
        TimeoutError: it did not; the query is cancelled.
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
        # Retrieved, so that asyncio does not report an error that nobody awaited.
        task.exception()
