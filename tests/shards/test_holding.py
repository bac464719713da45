"""A shard is open in one process at a time, whatever happens to processes, leases and the number of shards."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.stopping import stopped

from luna_serving.shards import holding
from luna_serving.shards.holding import Holding, holder, is_dead
from luna_serving.shards.shard import NotOpen, Place, shard_of
from luna_store.platform.leases import Lease, LeaseLost, acquire
from luna_store.platform.postgres import async_engine

FIRST = Place("tests", 0, 1)


@dataclass
class Kept:
    """A shard that counts what is done to it."""

    lease: Lease
    fail: int = 0
    opened: int = 0
    closed: int = 0
    log: list[str] = field(default_factory=list)
    failed: bool = False

    async def open(self) -> None:
        self.opened += 1
        if self.opened <= self.fail:
            raise OSError("the store does not answer")

    async def ask(self, account_id: int, request: Any) -> Any:
        if self.failed:
            raise LeaseLost(FIRST.lease, 0)
        return account_id, request

    async def close(self) -> None:
        self.closed += 1


class Held:
    """A `Holding` that runs, and the shards that it made."""

    def __init__(self, engine: AsyncEngine, place: Place, fail: int = 0) -> None:
        self.made: list[Kept] = []
        self.holding = Holding(engine, place, lambda lease: self._make(lease, fail))
        self.task = asyncio.create_task(self.holding.run())

    def _make(self, lease: Lease, fail: int) -> Kept:
        self.made.append(Kept(lease, fail))
        return self.made[-1]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


Hold = Callable[..., Held]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  other tasks change it
            await asyncio.sleep(0.02)


@pytest.fixture
async def engine(migrated_database: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(migrated_database)
    yield engine
    await engine.dispose()


@pytest.fixture
async def hold(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hold]:
    monkeypatch.setattr(holding, "LEASE_S", 1.5)
    monkeypatch.setattr(holding, "ASK_EVERY_S", 0.1)
    running: list[Held] = []

    def start(place: Place = FIRST, **arguments: int) -> Held:
        running.append(Held(engine, place, **arguments))
        return running[-1]

    yield start
    for each in running:
        await each.stop()


async def test_one_of_two_is_open_and_the_other_follows_it(hold: Hold) -> None:
    one, two = hold(), hold()
    await until(lambda: (one.holding.shard is None) != (two.holding.shard is None))
    first, second = (one, two) if one.holding.shard is not None else (two, one)
    await asyncio.sleep(2.0)  # longer than the lease: it is renewed
    assert second.holding.shard is None
    await first.stop()
    assert [kept.closed for kept in first.made] == [1]
    await until(lambda: second.holding.shard is not None, 1.4)  # released, not expired
    assert second.made[0].lease.token > first.made[0].lease.token


async def test_a_lost_lease_closes_the_shard_and_the_next_one_reads_its_state_again(
    hold: Hold, engine: AsyncEngine
) -> None:
    held = hold()
    await until(lambda: held.holding.shard is not None)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))
    await until(lambda: len(held.made) == 2 and held.holding.shard is held.made[1])
    assert held.made[0].closed == 1


async def test_a_shard_that_cannot_be_opened_is_tried_again_and_is_not_asked(hold: Hold) -> None:
    held = hold(fail=2)
    await until(lambda: bool(held.made) and held.made[0].opened == 1)
    assert held.holding.shard is None
    await until(lambda: held.holding.shard is not None)
    assert held.made[0].opened == 3


async def test_shards_of_another_number_wait_until_none_of_the_old_ones_is_held(hold: Hold) -> None:
    old = hold(Place("tests", 0, 1))
    await until(lambda: old.holding.shard is not None)
    new = [hold(Place("tests", index, 2)) for index in range(2)]
    others = hold(Place("others", 0, 3))
    await until(lambda: others.holding.shard is not None)
    await asyncio.sleep(1.0)
    assert [each.holding.shard for each in new] == [None, None]
    await old.stop()
    await until(lambda: all(each.holding.shard is not None for each in new))


async def test_a_lease_of_a_dead_process_of_this_host_ends_at_once_and_one_of_a_stopped_process_does_not(
    hold: Hold, engine: AsyncEngine
) -> None:
    code = "from luna_serving.shards.holding import holder; print(holder(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        of = process.stdout.readline().decode().strip()
        assert await acquire(engine, FIRST.lease, of, lasts_s=600)
        held = hold()
        with stopped(process.pid):
            await asyncio.sleep(0.5)
            assert held.holding.shard is None
        process.kill()
    began = time.monotonic()
    await until(lambda: held.holding.shard is not None)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("of", "dead"),
    [(holder, False), (lambda: holder() + "1", True), (lambda: "other-host/1/2.00", False), (str, False)],
)
def test_a_holder_of_another_host_or_form_is_never_called_dead(of: Callable[[], str], dead: bool) -> None:
    assert is_dead(of()) is dead
    assert psutil.pid_exists(int(holder().split("/")[1]))


def test_accounts_spread_evenly_and_each_has_one_shard() -> None:
    for count in (1, 2, 3, 7):
        found = [shard_of(account_id, count) for account_id in range(1, 7001)]
        assert set(found) == set(range(count))
        assert max(found.count(index) for index in range(count)) < 1.1 * 7000 / count
        assert [Place("tests", found[0], count).has(1), Place("tests", count, count).has(1)] == [True, False]


async def test_a_shard_that_fails_under_its_lease_is_replaced_by_another_one(hold: Hold) -> None:
    held = hold()
    await until(lambda: held.holding.shard is not None)
    held.made[0].failed = True
    assert await held.holding.ask(1, "write") == NotOpen()
    await until(lambda: len(held.made) == 2 and held.holding.shard is held.made[1])
    assert held.made[0].closed == 1
    assert await held.holding.ask(1, "write") == (1, "write")
