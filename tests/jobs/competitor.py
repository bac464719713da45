"""A process of its own that runs one loop under a lease and writes a fenced row at the begin and end of each run.

Arguments: database URL, lease in seconds, whether its wall clock is off ("" or seconds).
"""

import asyncio
import random
import sys
import time

from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.loops import Loop, Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_store.platform.leases import Lease, fenced
from luna_store.platform.postgres import async_engine

NAME = "test.work"
SCHEMA = """
CREATE TABLE runs (id bigserial PRIMARY KEY, token bigint NOT NULL, what text NOT NULL, worker text NOT NULL,
                   at timestamptz NOT NULL DEFAULT clock_timestamp())
"""
INSERT = text("INSERT INTO runs (token, what, worker) VALUES (:token, :what, :worker)")


def loops(url: str, lease_s: float, worker: str) -> Loops[AsyncEngine]:
    async def run(engine: AsyncEngine, lease: Lease) -> None:
        for what in ("begin", "step", "step", "end"):
            async with fenced(engine, lease) as connection:
                await connection.execute(INSERT, {"token": lease.token, "what": what, "worker": worker})
                # Stopped here, the process holds the fence's lock.
                await asyncio.sleep(random.uniform(0, 0.02))
            await asyncio.sleep(random.uniform(0, 0.02))

    return Loops(
        async_engine(url, pool_size=2),
        async_engine(url, pool_size=2),
        [Loop(NAME, 0.01, run)],
        holder=worker,
        metrics=LoopMetrics(CollectorRegistry()),
        lease_s=lease_s,
        ask_every_s=0.2,
    )


if __name__ == "__main__":
    _, url_, lease_, skew, name = sys.argv
    if skew:
        ahead, wall = float(skew), time.time
        time.time = lambda: wall() + ahead
    asyncio.run(loops(url_, float(lease_), name).run())
