"""The measurements of `python -m benchmarks.jobs`."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from sqlalchemy import text
from tests.jobs.queue.queues import queued
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.jobs.wake import Waker
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.jobs.cancelling import cancel
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import RedisQuota, redis_client
from luna_store.settlement.settlement import Settler

ACCOUNTS = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; seconds."""

    jobs_per_s: float
    pairs_per_s: float
    neighbour_s: float
    cancel_p50_s: float
    cancel_p99_s: float
    resumed_s: list[float]
    idle_s: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """For people."""
        return [
            ("jobs claimed, run and ended", f"{self.jobs_per_s:,.0f}/s"),
            ("the limit: two one-row transactions per job", f"{self.pairs_per_s:,.0f}/s"),
            ("ratio", f"{self.jobs_per_s / self.pairs_per_s:.2f}"),
            ("a job's start on an idle worker", f"{self.idle_s * 1000:.0f} ms"),
            ("a job's start beside a full queue of another account", f"{self.neighbour_s * 1000:.0f} ms"),
            ("cancel of a running job, p50", f"{self.cancel_p50_s * 1000:.0f} ms"),
            ("cancel of a running job, p99", f"{self.cancel_p99_s * 1000:.0f} ms"),
            ("a killed worker's job goes on, worst", f"{max(self.resumed_s):.1f} s"),
        ]


@asynccontextmanager
async def opened(database_url: str, redis_url: str) -> AsyncIterator[Store]:
    """The stores, as tests use them."""
    engine, redis = async_engine(database_url), redis_client(redis_url)
    yield Store(
        engine=engine,
        redis=redis,
        accounts=Accounts(engine, PEPPERS),
        cache=AccountCache(engine, redis),
        quota=RedisQuota(redis),
        fallback=PostgresQuota(engine),
        settler=Settler(engine, redis),
    )
    await redis.aclose()
    await engine.dispose()


@asynccontextmanager
async def worker(database_url: str, redis_url: str, slots: int = 32) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.jobs.queue.working",
        str(slots),
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def measure(database_url: str, redis_url: str, options: argparse.Namespace, say: Console) -> Figures:
    """Measure everything on fresh stores."""
    async with opened(database_url, redis_url) as store:
        say.print("the limit")
        pairs = await _pairs(database_url, options.jobs)
        async with worker(database_url, redis_url):
            say.print("throughput")
            rate = await _throughput(store, options.jobs)
            say.print("neighbour")
            idle, neighbour = await _neighbour(store, options.queued)
            say.print("cancels")
            cancels = await _cancels(store, options.cancels)
        say.print("kills")
        resumed = [await _killed(store, database_url, redis_url) for _ in range(options.kills)]
    p50, p99 = (float(np.quantile(cancels, q)) for q in (0.5, 0.99))
    return Figures(rate, pairs, neighbour, p50, p99, resumed, idle)


async def _pairs(database_url: str, count: int) -> float:
    engine = async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE limit_of_jobs (id int PRIMARY KEY, status text)"))
        fill = text("INSERT INTO limit_of_jobs SELECT g, 'queued' FROM generate_series(1, :n) g")
        await connection.execute(fill, {"n": count})
    begun = time.perf_counter()

    async def some(first: int) -> None:
        for i in range(first, count + 1, ACCOUNTS):
            for status in ("running", "succeeded"):
                async with engine.begin() as connection:
                    await connection.execute(
                        text("UPDATE limit_of_jobs SET status = :status WHERE id = :id"), {"id": i, "status": status}
                    )

    await asyncio.gather(*(some(i + 1) for i in range(ACCOUNTS)))
    took = time.perf_counter() - begun
    await engine.dispose()
    return count / took


async def _accounts(store: Store, count: int, **limits: int) -> list[Caller]:
    own = {name.replace("_", ".", 1): value for name, value in limits.items()}
    return [await store.account(quota_limit=10**9, limits=own) for _ in range(count)]


async def _throughput(store: Store, count: int) -> float:
    callers = await _accounts(store, ACCOUNTS, jobs_concurrent=32)
    # Suspended accounts keep their jobs in the queue until all are there.
    await store.execute("UPDATE accounts SET state = 'suspended'")
    for i in range(count):
        await queued(store, callers[i % ACCOUNTS], units=1, parameters=b'{"units": 1, "pause_s": 0}')
    await store.execute("UPDATE accounts SET state = 'active'")
    begun = time.perf_counter()
    await Waker(store.redis).wake()
    while await store.scalar("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"):
        await asyncio.sleep(0.1)
    return count / (time.perf_counter() - begun)


async def _started(store: Store, caller: Caller) -> float:
    job_id = await queued(store, caller, units=1, parameters=b'{"units": 1, "pause_s": 0}')
    await Waker(store.redis).wake()
    query = "SELECT extract(epoch FROM started_at - created_at)::float8 FROM jobs WHERE id = :id"
    while (waited := await store.scalar(query, id=job_id)) is None:
        await asyncio.sleep(0.02)
    return float(waited)


async def _neighbour(store: Store, count: int) -> tuple[float, float]:
    busy, other, idle = await _accounts(store, 3, jobs_concurrent=8)
    alone = await _started(store, idle)
    first = await queued(store, busy, units=0, parameters=b'{"units": 1, "pause_s": 0.5}')
    await store.execute(
        """
        WITH more AS (
            INSERT INTO jobs
                (id, account_id, kind, progress, debit_id, units_reserved, route, principal, deadline, expires_at)
            SELECT gen_random_uuid(), account_id, kind, progress, gen_random_uuid(), 0, route, principal, deadline,
                expires_at
            FROM jobs CROSS JOIN generate_series(2, :count) WHERE jobs.id = :id RETURNING id
        )
        INSERT INTO job_data (job_id, parameters)
        SELECT more.id, d.parameters FROM more CROSS JOIN job_data d WHERE d.job_id = :id
        """,
        id=first,
        count=count,
    )
    await asyncio.sleep(2.0)
    waits = [await _started(store, other) for _ in range(20)]
    await store.execute("DELETE FROM jobs WHERE account_id = :id", id=busy.account_id)
    return alone, max(waits)


async def _cancels(store: Store, count: int) -> list[float]:
    (caller,) = await _accounts(store, 1, jobs_concurrent=16)
    took: list[float] = []
    for _ in range(count):
        job_id = await queued(store, caller, units=100, parameters=b'{"units": 100, "pause_s": 0.2}')
        await Waker(store.redis).wake()
        while await store.scalar("SELECT status FROM jobs WHERE id = :id", id=job_id) != "running":
            await asyncio.sleep(0.01)
        begun = time.perf_counter()
        await cancel(store.engine, caller.account_id, job_id)
        await Waker(store.redis).cancel(job_id)
        while await store.scalar("SELECT status FROM jobs WHERE id = :id", id=job_id) != "cancelled":
            await asyncio.sleep(0.005)
        took.append(time.perf_counter() - begun)
    return took


async def _killed(store: Store, database_url: str, redis_url: str) -> float:
    (caller,) = await _accounts(store, 1)
    async with worker(database_url, redis_url) as victim:
        job_id = await queued(store, caller, units=300, parameters=b'{"units": 300, "pause_s": 0.1}')
        while not await store.scalar("SELECT checkpoint IS NOT NULL FROM job_data WHERE job_id = :id", id=job_id):
            await asyncio.sleep(0.05)
        async with worker(database_url, redis_url):
            victim.send_signal(signal.SIGKILL)
            begun = time.perf_counter()
            query = "SELECT losses > 0 AND status = 'running' FROM jobs WHERE id = :id"
            while not await store.scalar(query, id=job_id):
                await asyncio.sleep(0.02)
            resumed = time.perf_counter() - begun
            await cancel(store.engine, caller.account_id, job_id)
            return resumed
