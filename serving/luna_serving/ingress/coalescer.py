"""Natural batching: whatever gathers while a round trip is under way goes out together in the next one.

No timer: a lone call leaves at once, and under load the batches grow by themselves. Knows nothing of HTTP, quota or
models.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """As many items wait as may; send it again later."""


class Coalescer(Generic[T]):
    """Hands items to `send` in batches, in the order in which they came.

    `send` answers each item itself and must not raise.
    """

    def __init__(
        self,
        send: Callable[[Sequence[T]], Awaitable[None]],
        *,
        weight: Callable[[T], int],
        max_items: int,
        max_weight: int,
        max_queued: int,
        in_flight: int,
    ) -> None:
        """Prepare to batch.

        Args:
            send: takes a batch and answers its items.
            weight: an item's share of `max_weight`.
            max_items: items in one batch.
            max_weight: weight of one batch, beyond its first item.
            max_queued: items that may wait.
            in_flight: batches under way at once.
        """
        self._send = send
        self._weight = weight
        self._max_items = max_items
        self._max_weight = max_weight
        self._max_queued = max_queued
        self._free = in_flight
        self._waiting: deque[T] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        """Items that wait for a batch."""
        return len(self._waiting)

    def submit(self, item: T) -> None:
        """Take an item; it leaves at once or with the next batch.

        Raises:
            QueueFull: too many wait already.
        """
        if len(self._waiting) >= self._max_queued:
            raise QueueFull
        self._waiting.append(item)
        if self._free:
            self._free -= 1
            # Started as a task, it begins after the requests that this turn of the loop has already read.
            task = asyncio.get_running_loop().create_task(self._drain())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._send(self._take())
        finally:
            self._free += 1

    def _take(self) -> list[T]:
        batch = [self._waiting.popleft()]
        weight = self._weight(batch[0])
        while self._waiting and len(batch) < self._max_items:
            weight += self._weight(self._waiting[0])
            if weight > self._max_weight:
                break
            batch.append(self._waiting.popleft())
        return batch
