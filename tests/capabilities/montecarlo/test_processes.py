"""Real workers in processes of their own: one is killed, and another goes on to the same bits; then an extension."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.capabilities.montecarlo.attempts import parameters, ran
from tests.edge.running import access_of
from tests.jobs.queue.queues import column, queued
from tests.jobs.queue.test_endings import settled
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.access.credentials import Credential
from luna_serving.access.holds import Holds
from luna_serving.capabilities.montecarlo.job_kind import NAME, STATE
from luna_serving.capabilities.montecarlo.routes import extended
from luna_serving.jobs.kinds import Extension
from luna_serving.jobs.service import Caller as JobCaller
from luna_serving.jobs.service import JobService
from luna_serving.jobs.wake import Waker
from luna_serving.wire.problems import Problem
from luna_store.jobs.cancelling import cancel

ROOT = Path(__file__).parents[3]
LEASE_S = 2.0
BODY = {
    "model": {"kind": "heston", "spot": 100, "v0": 0.04, "kappa": 4, "theta": 0.25, "sigma": 1.0, "rho": -0.5},
    "payoff": {"kind": "european", "type": "call", "strike": 100},
    "expiry": 1,
    "steps": 100,
    "seed": 7,
}
Start = Callable[[int], Coroutine[Any, Any, asyncio.subprocess.Process]]


@pytest.fixture
async def start(migrated_database: str, fresh_redis: str) -> AsyncIterator[Start]:
    """Starts workers; the fixture ends those that are left."""
    started: list[asyncio.subprocess.Process] = []

    async def begin(threads: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.capabilities.montecarlo.working",
            str(threads),
            str(LEASE_S),
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": migrated_database, "REDIS_URL": fresh_redis},
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"works\n"
        return process

    try:
        yield begin
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.02)


async def result(store: Store, job_id: uuid.UUID) -> bytes:
    found: bytes = await store.scalar("SELECT result FROM job_data WHERE job_id = :id", id=job_id)
    return found


async def test_a_kill_and_an_extension_change_no_bit(store: Store, start: Start) -> None:
    caller = await store.account(quota_limit=1000)
    asked = parameters(**BODY, paths=300_000)
    job_id = await queued(store, caller, units=30, kind=NAME, parameters=asked)
    first = await start(1)

    async def checkpointed() -> bool:
        kept = "SELECT checkpoint IS NOT NULL FROM job_data WHERE job_id = :id"
        return bool(await store.scalar(kept, id=job_id)) or await column(store, job_id, "status") == "succeeded"

    await until(checkpointed)
    assert await column(store, job_id, "status") == "running"
    first.kill()
    await first.wait()
    await start(2)

    async def succeeded() -> bool:
        return bool(await column(store, job_id, "status") == "succeeded")

    await until(succeeded)
    assert await column(store, job_id, "attempt") == 2
    assert await result(store, job_id) == (await ran(asked, workers=2)).result
    assert await settled(store, caller) == 30

    service = _service(store)
    await service.extend(_asking(caller), job_id, {NAME: Extension(STATE, extended)}, 100_000)
    with pytest.raises(Problem) as refused:
        await service.extend(_asking(caller), job_id, {NAME: Extension(STATE, extended)}, 100_000)
    assert refused.value.status == 409
    await until(succeeded)
    assert await result(store, job_id) == (await ran(parameters(**BODY, paths=400_000), workers=2)).result
    progress = await column(store, job_id, "progress")
    assert progress["completed"] == progress["total"] == json.loads(await result(store, job_id))["plan"]["blocks"]
    # The paths that filled the last block of the first run were free, and need not be paid for now.
    assert 39 <= await settled(store, caller) <= 40


async def test_what_cannot_be_extended_is_refused_and_costs_nothing(store: Store) -> None:
    caller = await store.account(quota_limit=1000)
    service, kinds = _service(store), {NAME: Extension(STATE, extended)}
    waiting = await queued(store, caller, units=1, kind=NAME, parameters=parameters(**BODY, paths=1000))
    for job_id, status in ((uuid.uuid4(), 404), (waiting, 409)):
        with pytest.raises(Problem) as refused:
            await service.extend(_asking(caller), job_id, kinds, 1000)
        assert refused.value.status == status
    await cancel(store.engine, caller.account_id, waiting)
    with pytest.raises(Problem) as refused:
        await service.extend(_asking(caller), waiting, kinds, 1000)
    assert (refused.value.status, refused.value.slug) == (409, "job-not-extendable")


def _service(store: Store) -> JobService:
    wired = access_of(store)
    return JobService(store.engine, Holds(store.engine, wired.charges, timeout_s=4), Waker(store.redis), timeout_s=4)


def _asking(caller: Caller) -> JobCaller:
    return JobCaller(caller.account_id, Credential(caller.key.prefix, (PEPPERS.digest(caller.key),)), {})
