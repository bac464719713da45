"""A worker runs jobs to their ends: success, the caller's fault, our own fault, cancel, deadline, stop."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.jobs.queue.queues import column, queued
from tests.jobs.queue.test_endings import settled
from tests.jobs.queue.working import working
from tests.store.stores import Caller, Store

from luna_serving.jobs.running.attempt import MOST_FAILURES
from luna_serving.jobs.running.worker import JobWorker
from luna_serving.jobs.wake import Waker
from luna_store.jobs.cancelling import cancel
from luna_store.jobs.events import events_after


@pytest.fixture
async def worker(store: Store) -> AsyncIterator[JobWorker]:
    async with working(store.engine, store.redis) as made:
        yield made


async def status_of(store: Store, job_id: uuid.UUID, wanted: str, within_s: float = 15.0) -> None:
    """Wait until the job has the status."""
    async with asyncio.timeout(within_s):
        while await column(store, job_id, "status") != wanted:  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.02)


async def becomes(condition: Callable[[], Awaitable[bool]], within_s: float = 15.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.02)


def parameters(**fields: object) -> bytes:
    return json.dumps(fields).encode()


async def result(store: Store, job_id: uuid.UUID) -> dict[str, int]:
    return json.loads(await store.scalar("SELECT result FROM job_data WHERE job_id = :id", id=job_id))


@pytest.fixture
async def caller(store: Store) -> Caller:
    return await store.account()


async def test_a_job_runs_and_its_progress_is_seen(store: Store, caller: Caller, worker: JobWorker) -> None:
    job_id = await queued(store, caller, units=4, parameters=parameters(units=4, pause_s=0.5))
    await Waker(store.redis).wake()
    await status_of(store, job_id, "succeeded")
    assert await result(store, job_id) == {"steps": 4, "from": 0}
    events = [event.event for event in await events_after(store.engine, caller.account_id, 0, job_id=job_id)]
    assert events[:2] == ["queued", "running"]
    assert events[-1] == "succeeded"
    assert "progress" in events
    assert (await column(store, job_id, "progress"))["completed"] == 4
    assert await settled(store, caller) == 4


async def test_what_the_caller_did_wrong_fails_at_once_and_is_not_tried_again(
    store: Store, caller: Caller, worker: JobWorker
) -> None:
    job_id = await queued(store, caller, parameters=parameters(invalid="Must be whole."))
    await status_of(store, job_id, "failed")
    error = await column(store, job_id, "error")
    assert error["errors"] == [{"pointer": "/parameters/steps", "detail": "Must be whole."}]
    assert await column(store, job_id, "attempt") == 1
    assert await settled(store, caller) == 0


@pytest.mark.parametrize("fault", ["fails", "unavailable"])
async def test_our_own_faults_are_tried_again_and_then_cost_nothing(
    store: Store, caller: Caller, worker: JobWorker, fault: str
) -> None:
    job_id = await queued(store, caller, parameters=parameters(**{fault: True}))

    async def failed() -> bool:
        await store.execute("UPDATE jobs SET run_after = now() WHERE status = 'queued'")
        await Waker(store.redis).wake()
        return await column(store, job_id, "status") == "failed"

    await becomes(failed)
    assert await column(store, job_id, "attempt") == MOST_FAILURES
    assert (await column(store, job_id, "error"))["type"].endswith("internal")
    assert await settled(store, caller) == 0


async def test_a_cancel_reaches_running_work_within_a_second_and_keeps_what_was_done(
    store: Store, caller: Caller, worker: JobWorker
) -> None:
    job_id = await queued(store, caller, units=100, parameters=parameters(units=100, pause_s=0.1))
    await status_of(store, job_id, "running")
    await asyncio.sleep(0.5)
    await cancel(store.engine, caller.account_id, job_id)
    await Waker(store.redis).cancel(job_id)
    await status_of(store, job_id, "cancelled", within_s=1.0)
    done = (await result(store, job_id))["steps"]
    assert 0 < done < 20
    assert await column(store, job_id, "units_used") == done
    assert await settled(store, caller) == done


async def test_without_redis_a_cancel_reaches_it_by_the_heartbeat(
    store: Store, caller: Caller, worker: JobWorker
) -> None:
    job_id = await queued(store, caller, units=100, parameters=parameters(units=100, pause_s=0.1))
    await status_of(store, job_id, "running")
    await cancel(store.engine, caller.account_id, job_id)
    await status_of(store, job_id, "cancelled", within_s=4.0)


async def test_a_deadline_ends_a_running_job_with_its_partial_result(
    store: Store, caller: Caller, worker: JobWorker
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    job_id = await queued(store, caller, units=100, parameters=parameters(units=100, pause_s=0.2), deadline=soon)
    await status_of(store, job_id, "expired")
    assert 0 < (await result(store, job_id))["steps"] == await column(store, job_id, "units_used")


async def test_a_job_that_takes_longer_than_its_account_may_fails_and_says_so(store: Store, worker: JobWorker) -> None:
    caller = await store.account(limits={"jobs.seconds": 1})
    job_id = await queued(store, caller, units=100, parameters=parameters(units=100, pause_s=0.2))
    await status_of(store, job_id, "failed")
    assert "jobs.seconds" in (await column(store, job_id, "error"))["detail"]


async def test_a_result_beyond_the_accounts_limit_fails_the_job(store: Store, worker: JobWorker) -> None:
    caller = await store.account(limits={"jobs.result_bytes": 5})
    job_id = await queued(store, caller)
    await status_of(store, job_id, "failed")
    assert "jobs.result_bytes" in (await column(store, job_id, "error"))["detail"]


async def test_a_worker_that_stops_hands_its_jobs_back_with_their_checkpoints(store: Store, caller: Caller) -> None:
    async with working(store.engine, store.redis, "first"):
        job_id = await queued(store, caller, units=30, parameters=parameters(units=30, pause_s=0.1))
        await status_of(store, job_id, "running")
        await asyncio.sleep(0.6)
    assert await column(store, job_id, "status") == "queued"
    async with working(store.engine, store.redis, "second"):
        await status_of(store, job_id, "succeeded")
    assert (await result(store, job_id))["from"] > 0
    assert await column(store, job_id, "attempt") == 1
    assert await settled(store, caller) == 30


async def test_an_account_gets_no_more_at_once_than_it_may_and_others_are_not_delayed(
    store: Store, worker: JobWorker
) -> None:
    busy, other = await store.account(limits={"jobs.concurrent": 2}), await store.account()
    for _ in range(6):
        await queued(store, busy, units=1, parameters=parameters(units=1, pause_s=2.0))
    await asyncio.sleep(0.5)
    job_id = await queued(store, other, units=1)
    await Waker(store.redis).wake()
    begun = asyncio.get_running_loop().time()
    await status_of(store, job_id, "succeeded", within_s=5.0)
    assert asyncio.get_running_loop().time() - begun < 2.0
    running = "SELECT count(*) FROM jobs WHERE account_id = :id AND status = 'running'"
    assert await store.scalar(running, id=busy.account_id) == 2


async def test_an_ending_that_postgres_refuses_holds_up_no_other(
    store: Store, caller: Caller, worker: JobWorker
) -> None:
    await store.execute(
        'ALTER TABLE job_data ADD CONSTRAINT refused CHECK (result <> CAST(\'{"steps": 3, "from": 0}\' AS bytea))'
    )
    refused = await queued(store, caller, units=3, parameters=parameters(units=3))
    fine = await queued(store, caller, units=2, parameters=parameters(units=2))
    await status_of(store, fine, "succeeded")
    assert await column(store, refused, "status") == "running"
    # Nobody renews its lease any more, and it goes the way of a lost worker's jobs.
    await store.execute("UPDATE jobs SET lease_until = now() WHERE id = :id", id=refused)

    async def requeued() -> bool:
        return await column(store, refused, "losses") > 0

    await becomes(requeued)
