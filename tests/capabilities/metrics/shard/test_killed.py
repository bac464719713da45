"""The process of a shard, Postgres and Valkey, killed and stopped under load: what was acknowledged is there, once."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.capabilities.metrics.shard import process
from tests.capabilities.metrics.shard.shards import UNLIMITED, batch, key
from tests.stopping import stopped
from tests.store.stores import PEPPERS

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_serving.samples.answers import Written
from luna_serving.samples.client import Samples
from luna_serving.samples.requests import Instant, InstantQuery, Write
from luna_serving.shards.client import ShardClient
from luna_serving.shards.holding import LEASE_S
from luna_serving.shards.shard import NotOpen
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000


NOW = now()
HOUR = 3_600_000
SERIES = [key("load", host=f"h{n}") for n in range(7)]
# Small, so that flushes and compactions are as frequent as kills.
SETTINGS = {"flush_samples": 3_000, "flush_s": 1.0, "compact_s": 0.5, "recent_samples": 5_000, "cache_bytes": 200_000}


class Site:
    """Postgres, Valkey, and processes of one shard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = PostgresServer(folder / "postgres", folder)
        self.valkey = ValkeyServer(folder / "valkey", folder)
        self.processes: list[asyncio.subprocess.Process] = []
        self.started = 0
        self.accounts: list[int] = []
        self.samples = Samples(ShardClient([self.ask]), timeout_s=90.0)

    async def open(self) -> None:
        self.postgres.start()
        self.valkey.start()
        migrate(self.postgres.url)
        engine = async_engine(self.postgres.url)
        for name in ("one", "two"):
            self.accounts.append((await Accounts(engine, PEPPERS).create(AccountSpec(f"test/{name}")))[0])
        await engine.dispose()
        await self.start()

    async def start(self) -> asyncio.subprocess.Process:
        self.started += 1
        arguments = (self.postgres.url, self.valkey.url, str(self.path(self.started)), json.dumps(SETTINGS))
        with (self.folder / "shard.log").open("ab") as log:
            started = await asyncio.create_subprocess_exec(
                sys.executable, str(Path(process.__file__)), *arguments, stderr=log
            )
        self.processes.append(started)
        return started

    def path(self, number: int) -> Path:
        return self.folder / f"{number}.sock"

    async def ask(self, account_id: int, request: Any, *, of: int | None = None) -> Any:
        """Ask the newest process, as Serve would."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.path(of or self.started)))
        except OSError:
            return NotOpen()
        try:
            data = process.pickle.dumps((account_id, request))
            writer.write(process.LENGTH.pack(len(data)) + data)
            (length,) = process.LENGTH.unpack(await reader.readexactly(process.LENGTH.size))
            return process.pickle.loads(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            return NotOpen()
        finally:
            writer.close()

    async def kill(self) -> None:
        """SIGKILL the newest process and start another."""
        newest = self.processes[-1]
        newest.kill()
        await newest.wait()
        await self.start()

    async def close(self) -> None:
        for each in self.processes:
            if each.returncode is None:
                each.kill()
                await each.wait()
        self.postgres.stop()
        self.valkey.stop()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    try:
        await site.open()
        yield site
    finally:
        await site.close()


class Writer:
    """Writes samples that have never been there, remembers what was acknowledged, and reads it at once."""

    def __init__(self, site: Site, account_id: int, seed: int) -> None:
        self.site = site
        self.account_id = account_id
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.acknowledged: dict[bytes, dict[int, float]] = {each: {} for each in SERIES}
        self.count = 0
        self.under_way: dict[bytes, list[tuple[int, float]]] = {}

    async def run(self) -> None:
        while True:
            await self.once()

    async def once(self) -> None:
        of: dict[bytes, list[tuple[int, float]]] = {}
        for each in self.rng.choice(len(SERIES), 3, replace=False).tolist():
            times = NOW - self.seed - 10 * self.rng.choice(40 * HOUR // 10, 20, replace=False)
            # Half of them overwrite what may be there.
            old = list(self.acknowledged[SERIES[each]])
            if old:
                times[:10] = self.rng.choice(old, 10)
            of[SERIES[each]] = [(int(at), float(self.count + n)) for n, at in enumerate(times)]
        self.under_way = of
        await self.send()
        if self.count % 5 == 0:
            await self.check(next(iter(of)))

    async def send(self) -> None:
        """Send the write that is under way; again, if it was cancelled."""
        written = await self.site.samples.write(self.account_id, batch(self.under_way), UNLIMITED)
        assert written == Written(60)
        for series, samples in self.under_way.items():
            self.acknowledged[series] |= dict(samples)
        self.count += 1

    async def check(self, series: bytes) -> None:
        """What this writer has written, and only that, is there; writers have timestamps of their own."""
        query = InstantQuery(f'load{{host="{series[-2:].decode()}"}}[50h]', NOW)
        (found,) = await self.site.samples.instant(self.account_id, [query])
        mine = {
            at: value
            for each in found.series
            for at, value in zip(each.timestamps.tolist(), each.values.tolist(), strict=True)
            if (NOW - at) % 10 == self.seed
        }
        assert mine == self.acknowledged[series]


async def under_load(site: Site, disturb: Callable[[], Awaitable[None]], times: int) -> None:
    writers = [Writer(site, site.accounts[seed % 2], seed) for seed in range(4)]
    tasks = [asyncio.create_task(each.run()) for each in writers]
    try:
        for _ in range(times):
            before = sum(each.count for each in writers)
            async with asyncio.timeout(60):
                # Some progress between two disturbances.
                while sum(each.count for each in writers) < before + 8:
                    for task in tasks:
                        if task.done():
                            await task
                    await asyncio.sleep(0.02)
            await asyncio.sleep(random.uniform(0.0, 0.5))
            await disturb()
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in results), results
    for each in writers:
        # Whether the write that was cancelled is there is not known.
        await each.send()
        for series in SERIES:
            await each.check(series)


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_shard_that_is_killed_loses_nothing(site: Site, times: int) -> None:
    await under_load(site, site.kill, times)


@pytest.mark.parametrize("times", [1, pytest.param(7, marks=pytest.mark.slow)])
async def test_stores_that_are_killed_lose_nothing(site: Site, times: int) -> None:
    async def disturb() -> None:
        for server in (site.postgres, site.valkey):
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.sleep(random.uniform(0.0, 1.0))
            await asyncio.to_thread(server.start)

    await under_load(site, disturb, times)


async def test_a_shard_that_was_stopped_while_another_took_over_writes_and_shows_nothing(site: Site) -> None:
    account, series = site.accounts[0], SERIES[0]
    write = batch({series: [(NOW - 5_000, 1.0)]})
    assert await site.samples.write(account, write, UNLIMITED) == Written(1)
    first = site.started
    with stopped(site.processes[-1].pid):
        # It reads them when it goes on.
        late = asyncio.create_task(site.ask(account, Write(batch({series: [(NOW - 4_000, 2.0)]}), UNLIMITED), of=first))
        stale = asyncio.create_task(site.ask(account, Instant([InstantQuery("load", NOW)], 10**9, 60.0), of=first))
        await site.start()
        async with asyncio.timeout(LEASE_S + 20):
            assert await site.samples.write(account, batch({series: [(NOW - 5_000, 3.0)]}), UNLIMITED) == Written(1)
    assert await late == NotOpen()
    assert await stale == NotOpen()
    (found,) = await site.samples.instant(account, [InstantQuery('load{host="h0"}[1h]', NOW)])
    assert [each.values.tolist() for each in found.series] == [[3.0]]
