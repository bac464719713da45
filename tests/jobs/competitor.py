"""A process of its own that runs one loop under a lease and writes a fenced row at the begin and end of each run.

Arguments: database URL, lease in seconds, seconds that its wall clock is off, where it stops itself in its fifth step
(nowhere, before the transaction, or inside of it), its name.
"""

import asyncio
import random
import signal
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


def loops(url: str, lease_s: float, stop: str, worker: str) -> Loops[AsyncEngine]:
    steps = 0

    def stop_in_fifth(place: str) -> None:
        if steps == 5 and stop == place:
            # On this thread: sent to the process, another may take it, and this one goes on for a moment.
            signal.raise_signal(signal.SIGSTOP)

    async def step(engine: AsyncEngine, lease: Lease, what: str) -> None:
        nonlocal steps
        steps += 1
        stop_in_fifth("before")
        async with fenced(engine, lease) as connection:
            await connection.execute(INSERT, {"token": lease.token, "what": what, "worker": worker})
            stop_in_fifth("inside")
            await asyncio.sleep(random.choice([0.0, 0.0, 0.02]))

    async def run(engine: AsyncEngine, lease: Lease) -> None:
        for what in ("begin", "step", "step", "end"):
            # A step that has begun hears of no cancellation: nothing but the fence keeps it from writing.
            await asyncio.shield(step(engine, lease, what))
            await asyncio.sleep(random.uniform(0, 0.05))

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
    _, url_, lease_, skew, stop_, name = sys.argv
    ahead, wall = float(skew), time.time
    time.time = lambda: wall() + ahead
    asyncio.run(loops(url_, float(lease_), stop_, name).run())
