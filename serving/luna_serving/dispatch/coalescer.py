"""Natural batching: whatever gathers while a round trip is under way goes out together in the next one.

No timer: a lone call leaves at once, and under load the batches grow by themselves. Owners take turns: a batch takes
one item of each owner after the other, so that one owner's queue does not delay another's items. Knows nothing of
HTTP, quota or models.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """As many items wait as may; send it again later."""


class Coalescer(Generic[T]):
    """Hands items to `send` in batches: each owner's in the order in which they came, the owners in turn.

    `send` answers each item itself and must not raise.
    """

    def __init__(
        self,
        send: Callable[[Sequence[T]], Awaitable[None]],
        *,
        weight: Callable[[T], float],
        max_items: int,
        max_weight: float,
        max_queued: int,
        in_flight: int,
        owner: Callable[[T], Hashable] = lambda _: None,
        in_flight_per_owner: int | None = None,
    ) -> None:
        """Prepare to batch.

        Args:
            send: takes a batch and answers its items.
            weight: an item's share of `max_weight`.
            max_items: items in one batch.
            max_weight: weight of one batch, beyond its first item.
            max_queued: items that may wait.
            in_flight: batches under way at once.
            owner: whose an item is; by default all have the same owner.
            in_flight_per_owner: batches under way at once that hold an item of the same owner; None: `in_flight`.
        """
        self._send = send
        self._weight = weight
        self._max_items = max_items
        self._max_weight = max_weight
        self._max_queued = max_queued
        self._free = in_flight
        self._owner = owner
        self._per_owner = in_flight if in_flight_per_owner is None else in_flight_per_owner
        # The owner whose turn is next comes first.
        self._waiting: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._queued = 0
        self._under_way: Counter[Hashable] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        """Items that wait for a batch."""
        return self._queued

    def submit(self, item: T) -> None:
        """Take an item; it leaves at once or with the next batch.

        Raises:
            QueueFull: too many wait already.
        """
        if self._queued >= self._max_queued:
            raise QueueFull
        self._waiting.setdefault(self._owner(item), deque()).append(item)
        self._queued += 1
        self._start()

    def _start(self) -> None:
        if self._free and any(self._may_leave(owner) for owner in self._waiting):
            self._free -= 1
            # Started as a task, it begins after the requests that this turn of the loop has already read.
            task = asyncio.get_running_loop().create_task(self._drain())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _may_leave(self, owner: Hashable) -> bool:
        return self._under_way[owner] < self._per_owner

    async def _drain(self) -> None:
        try:
            while batch := self._take():
                owners = {self._owner(item) for item in batch}
                self._under_way.update(owners)
                try:
                    await self._send(batch)
                finally:
                    self._under_way.subtract(owners)
                    for owner in owners:
                        if not self._under_way[owner]:
                            del self._under_way[owner]
                # An owner that had to wait for this batch may have more than one to send now.
                self._start()
        finally:
            self._free += 1

    def _take(self) -> list[T]:
        """The next batch; empty where nothing may leave."""
        batch: list[T] = []
        weight = 0.0
        while len(batch) < self._max_items:
            items = next((items for owner, items in self._waiting.items() if self._may_leave(owner)), None)
            if items is None:
                break
            weight += self._weight(items[0])
            if batch and weight > self._max_weight:
                break
            item = items.popleft()
            batch.append(item)
            self._queued -= 1
            owner = self._owner(item)
            if items:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
        return batch
