"""The work queue and its workers, in real time."""

import asyncio
import random
import time
from collections import Counter

import pytest

from luna_operator.reconcile.queue import WorkQueue
from luna_operator.resources.names import Key

ACME, OTHER = Key("team", "acme"), Key("team", "other")
SOON_S = 0.05
# Seconds: long for an event loop, short for a person; a longer wait is a failure.
LOST_S = 5.0


async def taken(queue: WorkQueue) -> Key:
    async with asyncio.timeout(LOST_S):
        return (await queue.take()).key


async def waiting_worker(queue: WorkQueue) -> asyncio.Task[Key]:
    """A worker that waits already."""
    worker = asyncio.create_task(taken(queue))
    await asyncio.sleep(0.01)
    assert not worker.done()
    return worker


async def test_a_worker_that_is_cancelled_as_a_key_comes_ends_and_leaves_the_key() -> None:
    queue = WorkQueue()
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(0.01)
    queue.add_after(ACME, 60)
    await asyncio.sleep(0.01)
    queue.add(ACME)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert await taken(queue) == ACME


async def test_a_worker_that_waits_is_woken() -> None:
    queue = WorkQueue()
    worker = await waiting_worker(queue)
    queue.add(ACME)
    assert await worker == ACME


async def test_a_worker_wakes_by_itself_when_a_key_is_due() -> None:
    queue = WorkQueue()
    queue.add_after(ACME, SOON_S)
    began = time.monotonic()
    assert await taken(queue) == ACME
    assert time.monotonic() - began >= SOON_S


async def test_a_worker_that_waits_for_a_later_key_wakes_for_an_earlier_one() -> None:
    queue = WorkQueue()
    queue.add_after(OTHER, 3600)
    worker = await waiting_worker(queue)
    queue.add_after(ACME, SOON_S)
    assert await worker == ACME


async def test_an_instant_that_was_moved_forward_is_not_kept_for_later_as_well() -> None:
    now = 0.0
    queue = WorkQueue(lambda: now)
    queue.add_after(ACME, 10)
    queue.add_after(ACME, 5)
    now = 5.0
    queue.done(await taken(queue))
    now = 100.0
    queue.add(OTHER)
    queue.done(await taken(queue))
    assert len(queue) == 0


async def test_all_workers_that_wait_are_served() -> None:
    queue = WorkQueue()
    workers = [await waiting_worker(queue) for _ in range(3)]
    for number in range(3):
        queue.add(Key("team", str(number)))
    assert sorted(await asyncio.gather(*workers)) == [Key("team", str(number)) for number in range(3)]


async def test_a_worker_that_is_cancelled_takes_no_key_with_it() -> None:
    queue = WorkQueue()
    worker = await waiting_worker(queue)
    queue.add(ACME)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    if worker.cancelled():
        assert await taken(queue) == ACME
    else:
        assert worker.result() == ACME


async def test_a_key_that_goes_while_it_is_handled_is_not_handled_again() -> None:
    queue = WorkQueue()
    queue.add(ACME)
    assert await taken(queue) == ACME
    queue.add(ACME)
    queue.drop(ACME)
    queue.done(ACME)
    assert len(queue) == 0


async def test_a_wait_counts_from_when_a_key_was_due() -> None:
    now = 0.0
    queue = WorkQueue(lambda: now)
    queue.add_after(ACME, 10)
    queue.add(OTHER)
    now = 25.0
    waits = {turn.key: turn.waited_s for turn in [await queue.take(), await queue.take()]}
    assert waits == {ACME: 15.0, OTHER: 25.0}


@pytest.mark.parametrize("workers", [1, 8])
async def test_under_many_workers_no_key_is_handled_twice_at_once_and_none_is_forgotten(workers: int) -> None:
    queue, chance = WorkQueue(), random.Random(7)
    keys = [Key("team", str(number)) for number in range(20)]
    wanted = dict.fromkeys(keys, 0)
    handled = dict.fromkeys(keys, -1)
    at_once, turns = Counter[Key](), 0

    async def work() -> None:
        nonlocal turns
        while True:
            turn = await queue.take()
            at_once[turn.key] += 1
            assert at_once[turn.key] == 1
            seen = wanted[turn.key]
            await asyncio.sleep(chance.choice([0, 0, 0.002]))
            handled[turn.key] = seen
            turns += 1
            at_once[turn.key] -= 1
            queue.done(turn.key)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    for change in range(400):
        key = chance.choice(keys)
        wanted[key] = change
        chance.choice([queue.add, queue.retry, lambda key: queue.add_after(key, 0.01)])(key)
        queue.forget_failures(key)
        if chance.random() < 0.3:
            await asyncio.sleep(0.001)
    async with asyncio.timeout(LOST_S):
        while any(handled[key] < wanted[key] for key in keys if wanted[key]):  # noqa: ASYNC110  the last turn tells nobody
            await asyncio.sleep(0.01)
    failed = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not failed
    assert turns < 400, "a key that waits is not added a second time"
