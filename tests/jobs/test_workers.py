"""A worker's replica: its work begins and ends with it, and one whose work has ended is not healthy."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs import workers
from luna_serving.jobs.loops import Loop, Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.jobs.workers import ConnectedWorker, WorkersReplica, WorkStopped, holder_name
from luna_store.platform.leases import Lease
from luna_store.platform.postgres import async_engine

Work = Callable[[], Coroutine[Any, Any, None]]


class Replica(WorkersReplica):
    """What Serve awaits once, the interpreter would call again."""

    def __del__(self) -> None:
        pass


@asynccontextmanager
async def replica(*work: Work) -> AsyncIterator[tuple[WorkersReplica, list[str]]]:
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    async def connect(handle: str) -> ConnectedWorker:
        assert handle == "the board"
        return ConnectedWorker(work, close)

    made = Replica.__new__(Replica)
    await made.__init__(connect, "the board")
    try:
        yield made, closed
    finally:
        if not closed:
            await WorkersReplica.__del__(made)


async def test_its_loops_run_and_their_leases_are_free_when_it_has_stopped(migrated_database: str) -> None:
    engine = async_engine(migrated_database)
    ran = asyncio.Event()

    async def run(_: AsyncEngine, lease: Lease) -> None:
        ran.set()

    loops = Loops(
        engine, engine, [Loop("it", 0.1, run)], holder=holder_name(), metrics=LoopMetrics(CollectorRegistry())
    )
    async with replica(loops.run) as (worker, closed):
        async with asyncio.timeout(10):
            await ran.wait()
        await worker.ping()
        await worker.check_health()
        assert closed == []
    assert closed == ["closed"]
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT expires_at <= clock_timestamp() FROM leases"))
    await engine.dispose()


@pytest.mark.parametrize("ends", ["raises", "returns", "cancels itself"])
async def test_a_worker_whose_work_has_ended_is_not_healthy(ends: str) -> None:
    async def work() -> None:
        if ends == "raises":
            raise ZeroDivisionError
        if ends == "cancels itself":
            raise asyncio.CancelledError

    async with replica(work, asyncio.Event().wait) as (worker, _):
        await asyncio.sleep(0)
        with pytest.raises(WorkStopped) as stopped:
            await worker.check_health()
        assert isinstance(stopped.value.__cause__, ZeroDivisionError) == (ends == "raises")


async def test_work_that_does_not_stop_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "STOP_S", 0.3)
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    async with replica(stubborn) as (worker, closed):
        await asyncio.sleep(0)
        began = time.monotonic()
        await WorkersReplica.__del__(worker)
        assert time.monotonic() - began < 2.0
        assert closed == ["closed"]
    released.set()
    await asyncio.sleep(0)
