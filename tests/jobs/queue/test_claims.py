"""Claims: by turn, weight, priority and age; never more at once than the account may run."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.jobs.queue.queues import claimed, column, queued
from tests.store.stores import Store

from luna_store.jobs.claiming import backlog, claim
from luna_store.jobs.creating import QueueFull


async def test_an_account_runs_as_many_jobs_at_once_as_it_may(store: Store) -> None:
    caller = await store.account(limits={"jobs.concurrent": 3})
    for _ in range(8):
        await queued(store, caller)
    rounds = await asyncio.gather(*(claimed(store, 2, f"w{i}") for i in range(8)))
    later = [await claimed(store, 2) for _ in range(4)]
    ids = [job.id for jobs in (*rounds, *later) for job in jobs]
    assert len(ids) == len(set(ids)) == 3
    assert (await backlog(store.engine)).running == 3


async def test_priority_decides_within_an_account_then_age(store: Store) -> None:
    caller = await store.account(limits={"jobs.concurrent": 10})
    low, first, second = [await queued(store, caller, priority=p) for p in (-1, 5, 5)]
    assert [job.id for job in await claimed(store, 10)] == [first, second, low]


async def test_a_higher_priority_of_one_account_takes_no_turn_of_another(store: Store) -> None:
    eager, calm = await store.account(), await store.account()
    for _ in range(3):
        await queued(store, eager, priority=100)
    await queued(store, calm)
    owners = [(await claimed(store))[0].account_id for _ in range(2)]
    assert set(owners) == {eager.account_id, calm.account_id}


async def test_turns_follow_weights(store: Store) -> None:
    heavy = await store.account(limits={"jobs.weight": 3, "jobs.concurrent": 100})
    light = await store.account(limits={"jobs.concurrent": 100})
    for caller in (heavy, light):
        for _ in range(30):
            await queued(store, caller)
    owners = [(await claimed(store))[0].account_id for _ in range(24)]
    assert owners.count(heavy.account_id) == 18
    assert owners.count(light.account_id) == 6


async def test_an_account_that_was_idle_gets_no_turns_for_the_time_before(store: Store) -> None:
    busy, late = await store.account(limits={"jobs.concurrent": 100}), await store.account()
    for _ in range(20):
        await queued(store, busy)
    for _ in range(10):
        await claimed(store)
    for _ in range(4):
        await queued(store, late)
    owners = [(await claimed(store))[0].account_id for _ in range(6)]
    assert owners.count(late.account_id) == 3


async def test_ten_thousand_waiting_jobs_of_one_account_do_not_delay_another(store: Store) -> None:
    busy, other = await store.account(limits={"jobs.concurrent": 10_000}), await store.account()
    await queued(store, busy, units=0)
    await store.execute(
        """
        INSERT INTO jobs
            (id, account_id, kind, progress, debit_id, units_reserved, route, principal, deadline, expires_at)
        SELECT gen_random_uuid(), account_id, kind, progress, gen_random_uuid(), 0, route, principal, deadline,
            expires_at
        FROM jobs CROSS JOIN generate_series(1, 9999)
        """
    )
    await store.execute("INSERT INTO job_data (job_id, parameters) SELECT id, '{}' FROM jobs ON CONFLICT DO NOTHING")
    await claimed(store, 4)
    mine = await queued(store, other)
    begun = time.monotonic()
    found = [job.id for _ in range(2) for job in await claimed(store)]
    assert mine in found
    assert time.monotonic() - begun < 1.0


async def test_a_suspended_account_keeps_its_jobs_in_the_queue(store: Store) -> None:
    caller = await store.account()
    await queued(store, caller)
    await store.accounts.update(caller.account_id, state="suspended")
    assert await claimed(store) == []
    await store.accounts.update(caller.account_id, state="active")
    assert len(await claimed(store)) == 1


async def test_a_queue_that_is_full_refuses_and_changes_nothing(store: Store) -> None:
    caller = await store.account()
    await queued(store, caller, most_queued=1)
    with pytest.raises(QueueFull):
        await queued(store, caller, most_queued=1)
    assert await store.scalar("SELECT count(*) FROM jobs") == 1


async def test_a_worker_claims_only_the_kinds_that_it_can_run(store: Store) -> None:
    caller = await store.account()
    await queued(store, caller, kind="other")
    mine = await queued(store, caller)
    assert [job.id for job in await claimed(store, 5)] == [mine]
    assert len(await claim(store.engine, "two", ["other"], 5)) == 1


async def test_a_job_is_not_claimed_before_its_back_off_has_passed(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    later = datetime.now(UTC) + timedelta(seconds=60)
    await store.execute("UPDATE jobs SET run_after = :later WHERE id = :id", id=job_id, later=later)
    assert await claimed(store) == []
    assert await column(store, job_id, "status") == "queued"
