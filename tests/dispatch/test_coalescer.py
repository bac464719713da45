import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from luna_serving.dispatch.coalescer import REMEMBERED, Coalescer, QueueFull


class Wire:
    """Records the batches; each takes one turn of `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Semaphore(0)

    async def send(self, batch: Sequence[int]) -> None:
        self.batches.append(list(batch))
        await self.gate.acquire()


def coalescer(wire: Wire, **limits: Any) -> Coalescer[int]:
    defaults = {"max_items": 100, "max_weight": 1000, "max_queued": 1000, "in_flight": 1}
    return Coalescer(wire.send, weight=lambda item: item, **(defaults | limits))


def by_hundreds(item: int) -> int:
    """The owner of 101, 102 is 1."""
    return item // 100


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lone_item_leaves_at_once() -> None:
    wire = Wire()
    coalescer(wire).submit(1)
    await turns()
    assert wire.batches == [[1]]


async def test_what_gathers_during_a_round_trip_leaves_together_in_order() -> None:
    wire = Wire()
    queue = coalescer(wire)
    queue.submit(1)
    await turns()
    for item in (2, 3, 4):
        queue.submit(item)
    await turns()
    assert wire.batches == [[1]]
    assert queue.queued == 3
    wire.gate.release()
    await turns()
    assert wire.batches == [[1], [2, 3, 4]]


async def test_items_of_one_turn_of_the_loop_share_a_batch() -> None:
    wire = Wire()
    queue = coalescer(wire)
    for item in range(5):
        queue.submit(item)
    await turns()
    assert wire.batches == [[0, 1, 2, 3, 4]]


async def test_a_batch_ends_at_its_weight_but_never_starves_a_heavy_item() -> None:
    wire = Wire()
    queue = coalescer(wire, max_weight=10)
    for item in (50, 4, 6, 1):
        queue.submit(item)
    for _ in range(4):
        await turns()
        wire.gate.release()
    assert wire.batches == [[50], [4, 6], [1]]


async def test_no_more_batches_are_under_way_than_allowed() -> None:
    wire = Wire()
    queue = coalescer(wire, max_items=1, in_flight=2)
    for item in range(4):
        queue.submit(item)
    await turns()
    assert wire.batches == [[0], [1]]
    wire.gate.release()
    await turns()
    assert wire.batches == [[0], [1], [2]]


async def test_a_full_queue_says_so_and_keeps_what_it_has() -> None:
    wire = Wire()
    queue = coalescer(wire, max_queued=2)
    queue.submit(1)
    await turns()
    queue.submit(2)
    queue.submit(3)
    with pytest.raises(QueueFull):
        queue.submit(4)
    wire.gate.release()
    await turns()
    assert wire.batches == [[1], [2, 3]]


async def test_owners_take_turns_and_each_keeps_its_order() -> None:
    wire = Wire()
    queue = coalescer(wire, max_items=2, owner=by_hundreds)
    for item in (100, 101, 102, 103, 200, 201, 300):
        queue.submit(item)
    for _ in range(4):
        await turns()
        wire.gate.release()
    assert wire.batches == [[100, 200], [300, 101], [201, 102], [103]]
    assert queue.queued == 0


async def test_who_comes_late_waits_for_one_batch_and_not_for_the_queue_before_it() -> None:
    wire = Wire()
    queue = coalescer(wire, max_items=1, owner=by_hundreds)
    for item in range(100, 150):
        queue.submit(item)
    await turns()
    queue.submit(200)
    for _ in range(3):
        wire.gate.release()
        await turns()
    assert [200] in wire.batches[:3]


async def test_an_owner_has_no_more_batches_under_way_than_its_share() -> None:
    wire = Wire()
    queue = coalescer(wire, max_items=1, in_flight=3, in_flight_per_owner=1, owner=by_hundreds)
    for item in (100, 101, 102):
        queue.submit(item)
    await turns()
    assert wire.batches == [[100]]
    for item in (200, 201, 300):
        queue.submit(item)
    await turns()
    assert wire.batches == [[100], [200], [300]]
    for _ in range(3):
        wire.gate.release()
    await turns(20)
    assert sorted(wire.batches[3:]) == [[101], [201]], "each owner's next, and 102 waits for 101"
    wire.gate.release()
    await turns(20)
    wire.gate.release()
    await turns(20)
    assert sorted(item for batch in wire.batches for item in batch) == [100, 101, 102, 200, 201, 300]


async def test_an_owner_that_waited_for_its_own_batch_uses_every_free_place_after_it() -> None:
    wire = Wire()
    queue = coalescer(wire, max_items=1, in_flight=2, in_flight_per_owner=1, owner=by_hundreds)
    for item in (100, 101, 200, 201):
        queue.submit(item)
    await turns()
    assert wire.batches == [[100], [200]]
    wire.gate.release()
    await turns(20)
    assert wire.batches == [[100], [200], [101]], "200 is still under way, and so 201 waits"


Sent = tuple[str, int]


class Paced:
    """Takes one batch at a time, and notes what was displaced."""

    def __init__(self, **limits: Any) -> None:
        self.batches: list[list[Sent]] = []
        self.displaced: list[Sent] = []
        self._gate = asyncio.Semaphore(0)
        defaults: dict[str, Any] = {"max_items": 1, "max_weight": 1000, "max_queued": 1000, "in_flight": 1}
        self.queue: Coalescer[Sent] = Coalescer(
            self._send,
            weight=lambda item: item[1],
            owner=lambda item: item[0],
            displaced=self.displaced.append,
            **(defaults | limits),
        )

    async def _send(self, batch: Sequence[Sent]) -> None:
        self.batches.append(list(batch))
        await self._gate.acquire()

    async def take(self, batches: int) -> list[Sent]:
        """So many batches more."""
        begun = len(self.batches)
        for _ in range(batches):
            self._gate.release()
            await turns()
        return [item for batch in self.batches[begun:] for item in batch]

    async def rest(self) -> None:
        """All that waits."""
        while self.queue.queued:
            await self.take(1)
        self._gate.release()
        await turns()


async def test_owners_share_by_cost_and_not_by_number() -> None:
    paced = Paced(max_items=8, max_weight=1000)
    paced.queue.submit(("first", 1))
    await turns()
    for _ in range(40):
        paced.queue.submit(("large", 1000))
        paced.queue.submit(("small", 0))
    left = [owner for owner, _ in await paced.take(9)]
    # A small item takes an eighth of a batch by number, a large one the whole weight beside it: nine for one.
    places = [place for place, owner in enumerate(left) if owner == "large"]
    assert [after - before for before, after in pairwise(places)][:2] == [10, 10]
    await paced.rest()


async def test_an_owner_that_comes_back_has_saved_up_nothing() -> None:
    paced = Paced()
    for _ in range(40):
        paced.queue.submit(("busy", 1))
    await turns()
    await paced.take(20)
    for _ in range(10):
        paced.queue.submit(("idle", 1))
    left = await paced.take(10)
    assert 4 <= Counter(owner for owner, _ in left)["idle"] <= 6
    await paced.rest()


async def test_a_flood_in_a_full_queue_gives_way_to_others_until_they_have_as_much() -> None:
    paced = Paced(max_queued=6)
    for weight in range(7):
        paced.queue.submit(("flood", weight))
        await turns()
    with pytest.raises(QueueFull):
        paced.queue.submit(("flood", 99))
    for weight in range(3):
        paced.queue.submit(("polite", weight))
    assert paced.displaced == [("flood", 6), ("flood", 5), ("flood", 4)], "the newest, which have waited least"
    with pytest.raises(QueueFull):
        paced.queue.submit(("polite", 3))
    assert paced.queue.queued == 6
    left = await paced.take(6)
    assert sorted(left) == [("flood", 1), ("flood", 2), ("flood", 3), ("polite", 0), ("polite", 1), ("polite", 2)]
    await paced.rest()


async def test_many_owners_are_not_all_remembered_and_none_when_nobody_waits() -> None:
    paced = Paced(max_queued=10_000)
    for owner in range(4_000):
        paced.queue.submit((str(owner), 1))
    await turns()
    await paced.take(3_900)
    assert len(paced.queue._ends) <= REMEMBERED
    await paced.take(101)
    assert not paced.queue._ends
    await paced.rest()
