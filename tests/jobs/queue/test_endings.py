"""Endings, leases and cancels: each job ends once, its charge is exact, and a lost worker can change nothing."""

import asyncio
import uuid

import pytest
from tests.jobs.queue.queues import claimed, column, queued
from tests.store.stores import Caller, Store

from luna_store.jobs.cancelling import cancel, delete_data, expire_overdue
from luna_store.jobs.claiming import ClaimedJob
from luna_store.jobs.creating import JobIsLive, JobMissing, check_retriable, owner_of, retry
from luna_store.jobs.ending import HOLD_FENCE, Artifact, Ended, end
from luna_store.jobs.events import events_after
from luna_store.jobs.leases import Beat, beat, hand_back, keep_checkpoint, requeue_lost
from luna_store.jobs.states import JobStatus
from luna_store.ledger import holds


async def settled(store: Store, caller: Caller) -> int:
    """Units that the ledger has of the caller after everything was carried over."""
    while await store.settler.settle():
        pass
    booked = await store.scalar(
        "SELECT coalesce(sum(units), 0) FROM usage_events WHERE account_id = :id", id=caller.account_id
    )
    assert booked == await store.used(caller.account_id)
    assert await store.scalar("SELECT count(*) FROM holds WHERE account_id = :id", id=caller.account_id) == 0
    return booked


def ended(
    job: ClaimedJob, status: JobStatus = JobStatus.SUCCEEDED, units: int | None = None, **fields: object
) -> Ended:
    used = job.units_reserved if units is None else units
    return Ended(job.id, job.account_id, job.fence, status, used, **fields)


async def test_a_success_commits_result_charge_events_and_outbox_together(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller, units=4, webhook_url="https://example.com/hook")
    (job,) = await claimed(store)
    chart = Artifact.of("chart.svg", "image/svg+xml", b"<svg/>")
    assert await end(store.engine, [ended(job, result=b"[1]", artifacts=(chart,))]) == {job_id}
    assert await column(store, job_id, "status") == "succeeded"
    assert await store.scalar("SELECT result FROM job_data WHERE job_id = :id", id=job_id) == b"[1]"
    assert await store.scalar("SELECT outcome FROM job_attempts WHERE job_id = :id", id=job_id) == "succeeded"
    assert await store.scalar("SELECT event FROM webhook_deliveries WHERE job_id = :id", id=job_id) == "job.succeeded"
    events = await events_after(store.engine, caller.account_id, 0, job_id=job_id)
    assert [event.event for event in events] == ["queued", "running", "succeeded"]
    assert await settled(store, caller) == 4


async def test_work_that_was_not_done_is_given_back(store: Store) -> None:
    caller = await store.account()
    await queued(store, caller, units=10)
    (job,) = await claimed(store)
    await end(store.engine, [ended(job, JobStatus.CANCELLED, units=3)])
    assert await settled(store, caller) == 3


async def test_two_workers_on_one_job_commit_one_result(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    (first,) = await claimed(store, lease_s=0.01)
    await asyncio.sleep(0.05)
    assert await requeue_lost(store.engine) == 1
    (second,) = await claimed(store, worker="two")
    assert second.fence > first.fence
    results = await asyncio.gather(
        end(store.engine, [ended(first, result=b"first")]), end(store.engine, [ended(second, result=b"second")])
    )
    assert results == [set(), {job_id}]
    assert await store.scalar("SELECT result FROM job_data WHERE job_id = :id", id=job_id) == b"second"
    assert await end(store.engine, [ended(second, result=b"again")]) == set()
    assert await settled(store, caller) == 4


async def test_a_worker_that_lost_its_lease_writes_neither_progress_nor_checkpoint(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    (job,) = await claimed(store, lease_s=0.01)
    await asyncio.sleep(0.05)
    await requeue_lost(store.engine)
    assert await beat(store.engine, [Beat(job_id, job.fence, {"completed": 9})], [caller.account_id]) == {}
    await keep_checkpoint(store.engine, job_id, job.fence, b"late")
    assert (await column(store, job_id, "progress"))["completed"] == 0
    assert await store.scalar("SELECT checkpoint FROM job_data WHERE job_id = :id", id=job_id) is None


async def test_heartbeats_keep_a_job_and_bring_back_the_wish_to_cancel(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    (job,) = await claimed(store, lease_s=0.05)
    heard = await beat(store.engine, [Beat(job_id, job.fence, {"completed": 1})], [caller.account_id])
    assert not heard[job_id].cancel
    await asyncio.sleep(0.1)
    assert await requeue_lost(store.engine) == 0
    assert await cancel(store.engine, caller.account_id, job_id) is JobStatus.RUNNING
    assert (await beat(store.engine, [Beat(job_id, job.fence)], []))[job_id].cancel


async def test_the_third_lost_worker_fails_the_job_free_of_charge(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    for _ in range(3):
        assert len(await claimed(store, lease_s=0.01)) == 1
        await asyncio.sleep(0.05)
        await requeue_lost(store.engine)
    assert await column(store, job_id, "status") == "failed"
    assert (await column(store, job_id, "error"))["type"] == "worker-lost"
    assert await settled(store, caller) == 0


async def test_a_job_that_was_handed_back_does_not_count_the_attempt(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    (job,) = await claimed(store)
    await keep_checkpoint(store.engine, job_id, job.fence, b"half")
    await hand_back(store.engine, caller.account_id, job_id, job.fence)
    (again,) = await claimed(store)
    assert (again.attempt, again.checkpoint) == (1, b"half")


async def test_a_failure_on_our_side_is_tried_again_after_a_while(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    (job,) = await claimed(store)
    await end(store.engine, [ended(job, JobStatus.QUEUED, units=0, retry_in_s=60.0, outcome="failed-here")])
    assert await column(store, job_id, "status") == "queued"
    assert await claimed(store) == []
    await store.execute("UPDATE jobs SET run_after = now()")
    (again,) = await claimed(store)
    assert (again.attempt, again.failures) == (2, 1)
    await end(store.engine, [ended(again)])
    assert await settled(store, caller) == 4


async def test_cancelling_what_waits_ends_it_at_once_and_costs_nothing(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    assert await cancel(store.engine, caller.account_id, job_id) is JobStatus.CANCELLED
    assert await cancel(store.engine, caller.account_id, job_id) is JobStatus.CANCELLED
    assert await settled(store, caller) == 0
    with pytest.raises(JobMissing):
        await cancel(store.engine, caller.account_id + 1, job_id)


async def test_cancel_racing_completion_ends_once_and_charges_exactly(store: Store) -> None:
    caller = await store.account(limits={"jobs.concurrent": 20})
    ids = [await queued(store, caller) for _ in range(12)]
    jobs = await claimed(store, 20)
    assert len(jobs) == 12
    await asyncio.gather(
        *(end(store.engine, [ended(job)]) for job in jobs),
        *(cancel(store.engine, caller.account_id, job.id) for job in jobs),
    )
    assert {await column(store, job_id, "status") for job_id in ids} == {"succeeded"}
    assert await settled(store, caller) == 12 * 4


async def test_a_job_that_waits_beyond_its_deadline_expires_free_of_charge(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    await store.execute("UPDATE jobs SET deadline = now() - interval '1 second'")
    assert await expire_overdue(store.engine) == 1
    assert await column(store, job_id, "status") == "expired"
    assert await settled(store, caller) == 0


async def test_a_retry_keeps_the_id_counts_on_and_is_charged_anew(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller, units=4)
    with pytest.raises(JobIsLive):
        async with store.engine.begin() as connection:
            await check_retriable(connection, caller.account_id, job_id)
    (job,) = await claimed(store)
    await end(store.engine, [ended(job, JobStatus.FAILED, units=0, error={"type": "invalid"})])
    async with store.engine.begin() as connection:
        kind, units, _ = await check_retriable(connection, caller.account_id, job_id)
    debit = caller.debit(units)
    async with store.engine.begin() as connection:
        await holds.write(connection, debit, owner_of(job_id), HOLD_FENCE, holds.LONGEST)
    await store.quota.debit([debit])
    async with store.engine.begin() as connection:
        await retry(connection, job_id, debit, most_queued=10, kept=holds.LONGEST)
    assert (kind, await column(store, job_id, "attempt")) == ("test", 2)
    (again,) = await claimed(store)
    assert again.attempt == 2
    await end(store.engine, [ended(again)])
    assert await settled(store, caller) == 4


async def test_data_is_deleted_only_of_jobs_that_have_ended(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    with pytest.raises(JobIsLive):
        await delete_data(store.engine, caller.account_id, job_id)
    await cancel(store.engine, caller.account_id, job_id)
    await delete_data(store.engine, caller.account_id, job_id)
    assert await store.scalar("SELECT count(*) FROM job_data") == 0
    with pytest.raises(JobMissing):
        await delete_data(store.engine, caller.account_id, uuid.uuid4())


async def test_events_of_an_account_are_seen_in_the_order_of_their_ids(store: Store) -> None:
    caller = await store.account(limits={"jobs.concurrent": 50})
    seen: list[int] = []

    async def watch() -> None:
        after = 0
        while len(seen) < 90:
            for event in await events_after(store.engine, caller.account_id, after):
                seen.append(event.id)
                after = event.id
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(queued(store, caller, units=1) for _ in range(30)))
    jobs: list[ClaimedJob] = []
    while len(jobs) < 30:
        jobs += await claimed(store, 7)
    await asyncio.gather(*(end(store.engine, [ended(job)]) for job in jobs))
    await asyncio.wait_for(watching, 20)
    assert seen == sorted(seen)
    assert await store.scalar("SELECT count(*) FROM job_events") == 90


async def test_creating_and_ending_jobs_of_one_account_at_once_never_deadlocks(store: Store) -> None:
    caller = await store.account(limits={"jobs.concurrent": 100})
    for _ in range(10):
        await queued(store, caller, units=1)
    for _ in range(5):
        jobs = await claimed(store, 10)
        await asyncio.gather(
            *(end(store.engine, [ended(job)]) for job in jobs),
            *(queued(store, caller, units=1) for _ in range(10)),
        )
    assert await store.scalar("SELECT count(*) FROM jobs WHERE status = 'succeeded'") == 50
