"""Loops of one process: each for itself, under its lease, counted, and gone when stopped."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs import loops as loops_module
from luna_serving.jobs.loops import Loop, Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.local.servers.postgres import PostgresServer
from luna_store.platform.leases import Lease, LeaseLost, acquire, fenced
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate

Run = Callable[[AsyncEngine, Lease], Awaitable[None]]


@pytest.fixture
async def engine(migrated_database: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(migrated_database)
    yield engine
    await engine.dispose()


class Worker:
    """Running loops and their metrics."""

    def __init__(self, engine: AsyncEngine, *loops: Loop[AsyncEngine], name: str = "worker", lease_s: float = 3.0):
        self.registry = CollectorRegistry()
        metrics = LoopMetrics(self.registry)
        self.loops = Loops(engine, engine, loops, holder=name, metrics=metrics, lease_s=lease_s, ask_every_s=0.2)

    def value(self, metric: str, loop: str) -> float | None:
        return self.registry.get_sample_value(f"luna_loop_{metric}", {"loop": loop})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.loops.run())
        try:
            yield
        finally:
            assert not task.done(), "nothing ends the loops but their cancellation"
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(claim: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110  what is waited for sets no Event
            await asyncio.sleep(0.02)


def counting(runs: list[Lease]) -> Run:
    async def run(_: AsyncEngine, lease: Lease) -> None:
        runs.append(lease)

    return run


async def holder(engine: AsyncEngine, loop: str) -> str | None:
    query = text("SELECT holder FROM leases WHERE name = :name AND expires_at > clock_timestamp()")
    async with engine.connect() as connection:
        return await connection.scalar(query, {"name": f"loop:{loop}"})


async def test_loops_run_again_and_again_and_show_it(engine: AsyncEngine) -> None:
    often: list[Lease] = []
    seldom: list[Lease] = []
    worker = Worker(engine, Loop("often", 0.01, counting(often)), Loop("seldom", 60.0, counting(seldom)))
    async with worker.running():
        await until(lambda: len(often) > 5 and len(seldom) > 0)
        assert len(seldom) == 1
        assert worker.value("lease_held", "seldom") == 1
        assert worker.value("interval_seconds", "seldom") == 60
        assert worker.value("last_success_timestamp_seconds", "seldom") > 1.7e9
        assert worker.value("seconds_count", "seldom") == 1
        assert worker.value("failures_total", "seldom") == 0
        assert await holder(engine, "often") == "worker"
    assert len({lease.token for lease in often}) == 1


async def test_a_stop_ends_runs_under_way_and_frees_every_lease(engine: AsyncEngine) -> None:
    begun, ended = [], []

    async def long(_: AsyncEngine, lease: Lease) -> None:
        begun.append(lease)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.1)
            ended.append(await holder(engine, "long"))

    worker = Worker(engine, Loop("long", 1.0, long), Loop("short", 1.0, counting([])))
    async with worker.running():
        await until(lambda: len(begun) == 1 and worker.value("lease_held", "short") == 1)
    assert ended == ["worker"], "the lease was held until the run had ended"
    assert [await holder(engine, name) for name in ("long", "short")] == [None, None]
    assert worker.value("lease_held", "long") is None
    assert worker.value("last_success_timestamp_seconds", "short") is None


async def test_a_loop_that_raises_is_tried_again_and_disturbs_no_other(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[Lease] = []
    good: list[Lease] = []

    async def bad(_: AsyncEngine, lease: Lease) -> None:
        tried.append(lease)
        if len(tried) == 1:
            raise ZeroDivisionError
        if len(tried) == 2:
            raise asyncio.CancelledError

    worker = Worker(engine, Loop("bad", 0.01, bad), Loop("good", 0.05, counting(good)))
    with caplog.at_level(logging.ERROR, "luna.loops"):
        async with worker.running():
            await until(lambda: len(tried) > 3)
            before = len(good)
            await until(lambda: len(good) > before)
    assert worker.value("failures_total", "bad") == 1
    assert worker.value("failures_total", "good") == 0
    assert "loop bad failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_loop_that_keeps_failing_here_goes_to_another_worker(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops_module, "LONGEST_BACKOFF_S", 0.2)
    failed: list[Lease] = []
    done: list[Lease] = []

    async def fail(_: AsyncEngine, lease: Lease) -> None:
        failed.append(lease)
        raise OSError("out of reach")

    broken, sound = Worker(engine, Loop("it", 0.1, fail)), Worker(engine, Loop("it", 0.1, counting(done)), name="sound")
    async with broken.running():
        await until(lambda: len(failed) > 0)
        async with sound.running():
            await until(lambda: len(done) > 2)
            assert await holder(engine, "it") == "sound"
    assert len(failed) >= loops_module.FAILURES_IN_A_ROW
    assert broken.value("leases_lost_total", "it") == 0, "handed back is not lost"


async def test_a_run_that_takes_too_long_is_ended_and_counts_as_failed(engine: AsyncEngine) -> None:
    begun: list[Lease] = []

    async def hang(_: AsyncEngine, lease: Lease) -> None:
        begun.append(lease)
        await asyncio.sleep(3600)

    worker = Worker(engine, Loop("slow", 0.1, hang, timeout_s=0.2))
    async with worker.running():
        await until(lambda: len(begun) > 1)
    assert worker.value("failures_total", "slow") >= 1


@pytest.mark.parametrize("notices", ["renewal", "write"])
async def test_a_run_whose_lease_is_lost_is_cancelled_and_the_loop_competes_again(
    engine: AsyncEngine, notices: str
) -> None:
    begun: list[Lease] = []
    cancelled: list[Lease] = []

    async def work(engine: AsyncEngine, lease: Lease) -> None:
        begun.append(lease)
        try:
            while True:
                await asyncio.sleep(0.05)
                if notices == "write":
                    async with fenced(engine, lease):
                        pass
        except (asyncio.CancelledError, LeaseLost):
            cancelled.append(lease)
            raise

    worker = Worker(engine, Loop("it", 0.1, work), lease_s=3.0 if notices == "renewal" else 30.0)
    async with worker.running():
        await until(lambda: len(begun) == 1)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))
        thief = await acquire(engine, "loop:it", "thief", lasts_s=1.0)
        assert thief is not None
        await until(lambda: len(cancelled) == 1, 2.0)
        await until(lambda: len(begun) == 2)
    assert begun[1].token > thief.token
    assert worker.value("leases_lost_total", "it") == 1


async def test_two_workers_share_a_loop_and_the_other_takes_over_when_one_stops(engine: AsyncEngine) -> None:
    runs: dict[str, list[Lease]] = {"one": [], "two": []}
    one, two = (Worker(engine, Loop("it", 0.05, counting(runs[name])), name=name) for name in runs)
    async with one.running():
        await until(lambda: len(runs["one"]) > 0)
        async with two.running():
            await asyncio.sleep(1.0)
            assert runs["two"] == []
    assert len(runs["one"]) > 1
    async with two.running():
        await until(lambda: len(runs["two"]) > 0)
    assert runs["two"][0].token > runs["one"][0].token


async def test_many_loops_spread_over_workers_that_start_together(engine: AsyncEngine) -> None:
    names = [f"loop{i}" for i in range(12)]
    workers = [Worker(engine, *(Loop(n, 60.0, counting([])) for n in names), name=name) for name in ("one", "two")]
    held = {w: lambda w=w: sum(w.value("lease_held", n) or 0 for n in names) for w in workers}
    async with workers[0].running(), workers[1].running():
        await until(lambda: sum(count() for count in held.values()) == len(names))
        assert all(count() >= 1 for count in held.values())


async def test_an_outage_of_postgres_ends_nothing(tmp_path: Path) -> None:
    with PostgresServer(tmp_path / "postgres", tmp_path) as server:
        migrate(server.url)
        engine = async_engine(server.url)
        runs: list[Lease] = []
        worker = Worker(engine, Loop("it", 0.05, counting(runs)), lease_s=1.0)
        async with worker.running():
            await until(lambda: len(runs) > 0)
            await asyncio.to_thread(server.kill)
            await until(lambda: worker.value("lease_held", "it") is None)
            stopped = len(runs)
            await asyncio.sleep(1.0)
            assert len(runs) == stopped, "without a lease nothing runs"
            await asyncio.to_thread(server.start)
            await until(lambda: len(runs) > stopped, 30.0)
        assert runs[-1].token > runs[0].token
        await engine.dispose()


def test_two_loops_of_one_name_are_refused() -> None:
    engine = async_engine("postgresql://nobody:nothing@127.0.0.1:9/none")
    with pytest.raises(ValueError, match="more than one is called same"):
        Worker(engine, Loop("same", 1.0, counting([])), Loop("same", 1.0, counting([])))
