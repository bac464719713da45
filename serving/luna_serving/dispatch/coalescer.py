"""Natural batching: items that arrive during a round trip leave together in the next one.

There is no timer: a lone item leaves at once, and batches grow under load. Owners take turns: a batch takes one item of
each owner in rotation, so that one owner's queue does not delay another's items. The module does not depend on HTTP,
quota or models.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """The queue is full; retry later."""


class Coalescer(Generic[T]):
    """Passes items to `send` in batches: each owner's in order of arrival, the owners in rotation.

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
        """Wire the coalescer.

        Args:
            send: takes a batch and answers its items.
            weight: an item's share of `max_weight`.
            max_items: items in one batch.
            max_weight: weight of one batch, beyond its first item.
            max_queued: items that may wait.
            in_flight: batches in flight at once.
            owner: the owner of an item; by default all items have the same owner.
            in_flight_per_owner: batches in flight at once with an item of the same owner; None: `in_flight`.
        """
        self._send = send
        self._weight = weight
        self._max_items = max_items
        self._max_weight = max_weight
        self._max_queued = max_queued
        self._free = in_flight
        self._owner = owner
        self._per_owner = in_flight if in_flight_per_owner is None else in_flight_per_owner
        # In the order of their turns.
        self._waiting: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._queued = 0
        self._under_way: Counter[Hashable] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        """How many items wait for a batch."""
        return self._queued

    def submit(self, item: T) -> None:
        """Queue an item; it leaves at once or with the next batch.

        Raises:
            QueueFull: `max_queued` items wait already.
        """
        if self._queued >= self._max_queued:
            raise QueueFull
        self._waiting.setdefault(self._owner(item), deque()).append(item)
        self._queued += 1
        self._start()

    def _start(self) -> None:
        if self._free and any(self._may_leave(owner) for owner in self._waiting):
            self._free -= 1
            # As a task, it starts after the requests that this iteration of the event loop has read already.
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
                # An owner that waited for this batch may now have more than one batch to send.
                self._start()
        finally:
            self._free += 1

    def _take(self) -> list[T]:
        """The next batch; empty if nothing may leave."""
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
