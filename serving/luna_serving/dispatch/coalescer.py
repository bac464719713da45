"""Natural batching: items that arrive during a round trip leave together in the next one.

There is no timer: a lone item leaves at once, and batches grow under load. Owners share the batches by what their items
cost, not by how many they send: start-time fair queueing (Goyal, Vin & Cheng 1996, section 3). An item's cost is the
part of a batch that it fills, by number and by weight. The module does not depend on HTTP, quota or models.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
# Owners whose last item is remembered: an owner that is forgotten may start one item too early.
REMEMBERED: Final = 1_000


class QueueFull(Exception):
    """The queue is full; retry later."""


class Coalescer(Generic[T]):
    """Passes items to `send` in batches: each owner's in order of arrival, the owners by the cost of what they sent.

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
        displaced: Callable[[T], Any] = lambda _: None,
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
            displaced: takes an item that left a full queue to make room for one of another owner.
        """
        self._send = send
        self._weight = weight
        self._max_items = max_items
        self._max_weight = max_weight
        self._max_queued = max_queued
        self._free = in_flight
        self._owner = owner
        self._per_owner = in_flight if in_flight_per_owner is None else in_flight_per_owner
        self._displaced = displaced
        self._waiting: dict[Hashable, deque[T]] = {}
        # Each waiting owner once, by the virtual time at which its next item starts; the count keeps the rotation.
        self._turns: list[tuple[float, int, Hashable]] = []
        self._pushed = count()
        # The virtual time, and when each owner's last item ends in it.
        self._now = 0.0
        self._ends: dict[Hashable, float] = {}
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
            QueueFull: `max_queued` items wait already, and no owner has more of them than this one.
        """
        owner = self._owner(item)
        if self._queued >= self._max_queued:
            self._make_room(owner)
        items = self._waiting.get(owner)
        if items is None:
            items = self._waiting[owner] = deque()
            self._push(owner, max(self._now, self._ends.get(owner, 0.0)))
        items.append(item)
        self._queued += 1
        self._start()

    def _make_room(self, owner: Hashable) -> None:
        greediest = max(self._waiting, key=lambda each: len(self._waiting[each]))
        mine = len(self._waiting.get(owner, ()))
        # With as many after the exchange as before it, two owners would displace each other's items in turn.
        if len(self._waiting[greediest]) <= mine + 1:
            raise QueueFull
        self._queued -= 1
        self._displaced(self._waiting[greediest].pop())

    def _push(self, owner: Hashable, start: float) -> None:
        heappush(self._turns, (start, next(self._pushed), owner))

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
        kept: list[tuple[float, int, Hashable]] = []
        while self._turns and len(batch) < self._max_items:
            turn = heappop(self._turns)
            start, _, owner = turn
            if not self._may_leave(owner):
                kept.append(turn)
                continue
            items = self._waiting[owner]
            own = self._weight(items[0])
            weight += own
            if batch and weight > self._max_weight:
                kept.append(turn)
                break
            batch.append(items.popleft())
            self._queued -= 1
            self._now = max(self._now, start)
            end = self._ends[owner] = start + own / self._max_weight + 1 / self._max_items
            if items:
                self._push(owner, end)
            else:
                del self._waiting[owner]
        for turn in kept:
            heappush(self._turns, turn)
        self._forget()
        return batch

    def _forget(self) -> None:
        if not self._queued:
            # Nobody was kept waiting: nobody has to make up for anything.
            self._now = 0.0
            self._ends.clear()
        elif len(self._ends) > REMEMBERED:
            self._ends.clear()
