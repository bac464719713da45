"""Workers and stores are killed and stopped at random moments; then everything is counted.

No job is lost, no result is committed twice, and the ledger has each job's units once.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.jobs.queue.queues import queued
from tests.jobs.queue.test_endings import settled
from tests.stopping import stopped
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate
from luna_store.quota.redis_quota import RedisQuota, redis_client
from luna_store.settlement.settlement import Settler

LEASE_S = 2.0
ROOT = Path(__file__).parents[3]


class Fleet:
    """Servers of the test's own, and workers in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresServer(folder / "postgres", folder)
        self.valkey = ValkeyServer(folder / "valkey", folder)
        self.workers: list[asyncio.subprocess.Process] = []

    async def add_worker(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.jobs.queue.working",
            "6",
            str(LEASE_S),
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": self.postgres.url, "REDIS_URL": self.valkey.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"works\n"
        self.workers.append(process)

    async def kill_worker(self) -> None:
        victim = self.workers.pop(0)
        victim.kill()
        await victim.wait()
        await self.add_worker()

    async def stop_worker_beyond_its_lease(self) -> None:
        victim = self.workers[0]
        with stopped(victim.pid):
            await asyncio.sleep(2 * LEASE_S)

    async def terminate_worker(self) -> None:
        victim = self.workers.pop(0)
        victim.terminate()
        await victim.wait()
        await self.add_worker()

    async def kill_postgres(self) -> None:
        self.postgres.kill()
        await asyncio.to_thread(self.postgres.start)

    async def kill_valkey(self) -> None:
        self.valkey.kill()
        await asyncio.to_thread(self.valkey.start)

    async def end(self) -> None:
        for process in self.workers:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(tmp_path)
    fleet.postgres.start()
    fleet.valkey.start()
    migrate(fleet.postgres.url)
    try:
        yield fleet
    finally:
        await fleet.end()
        fleet.valkey.stop()
        fleet.postgres.stop()


@pytest.fixture
async def stores(fleet: Fleet) -> AsyncIterator[Store]:
    engine, redis = async_engine(fleet.postgres.url), redis_client(fleet.valkey.url)
    yield Store(
        engine,
        redis,
        Accounts(engine, PEPPERS),
        AccountCache(engine, redis),
        RedisQuota(redis),
        PostgresQuota(engine),
        Settler(engine, redis),
    )
    await redis.aclose()
    await engine.dispose()


async def run_amid(fleet: Fleet, store: Store, jobs: int, faults: list[str], seed: int) -> None:
    """Run jobs of two accounts while faults happen at random moments; then count."""
    drawn = random.Random(seed)
    callers: list[Caller] = [await store.account(quota_limit=10**6) for _ in range(2)]
    ids = [
        await queued(store, callers[i % 2], units=10, parameters=b'{"units": 10, "pause_s": 0.1}') for i in range(jobs)
    ]
    for _ in range(2):
        await fleet.add_worker()
    for fault in faults:
        await asyncio.sleep(drawn.uniform(0.3, 1.5))
        await getattr(fleet, fault)()
    left = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
    async with asyncio.timeout(120):
        while await store.scalar(left):  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.2)
    rows = await store.scalar("SELECT jsonb_object_agg(id, status) FROM jobs")
    assert {rows[str(job_id)] for job_id in ids} == {"succeeded"}
    assert len(rows) == jobs
    once = """
        SELECT count(*) FROM (
            SELECT job_id FROM job_attempts WHERE outcome = 'succeeded' GROUP BY job_id HAVING count(*) = 1
        ) AS each
    """
    assert await store.scalar(once) == jobs
    assert await store.scalar("SELECT count(*) FROM job_events WHERE event = 'succeeded'") == jobs
    assert await store.scalar("SELECT count(*) FROM job_data WHERE result IS NOT NULL") == jobs
    # Its connections died with the server.
    await store.redis.connection_pool.disconnect()
    for caller in callers:
        assert await settled(store, caller) == 10 * jobs / 2


async def test_nothing_is_lost_and_nothing_is_done_twice_amid_kills(fleet: Fleet, stores: Store) -> None:
    faults = ["kill_worker", "kill_valkey", "stop_worker_beyond_its_lease", "kill_postgres", "terminate_worker"]
    await run_amid(fleet, stores, 24, faults, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_lost_amid_many_kills(fleet: Fleet, stores: Store, seed: int) -> None:
    kinds = ["kill_valkey", "stop_worker_beyond_its_lease", "kill_postgres", "terminate_worker"]
    faults = random.Random(seed).choices(kinds, k=14)
    faults[3] = faults[9] = "kill_worker"
    await run_amid(fleet, stores, 120, faults, seed)
