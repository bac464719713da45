"""Whatever the order, duplication, chunking and restarts of the same samples, answers are the same bit for bit."""

import math
import time
from collections.abc import Mapping

import numpy as np
import pytest
from tests.capabilities.metrics.shard.shards import aggregated, key, latest, opened, samples, statistics, write
from tests.store.stores import Store

from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.samples.requests import Instant, InstantQuery, Range

DAY = 86_400_000


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000


NOW = now()
STALE = 0x7FF0000000000002
SPECIAL = np.array([STALE, 0x7FF8000000000001, 0xFFF0000000000000, 0x8000000000000000, 1], np.uint64).view(np.float64)
Sample = tuple[bytes, int, float]


@pytest.fixture
async def accounts(store: Store) -> tuple[int, int]:
    return (await store.account()).account_id, (await store.account()).account_id


def made(rng: np.random.Generator, count: int) -> list[Sample]:
    """Distinct samples of three series over three days."""
    keys = [key("load", host=host) for host in "abc"]
    series = rng.integers(0, 3, count)
    times = NOW - rng.choice(3 * DAY // 1_000, count, replace=False) * 1_000
    values = np.where(rng.random(count) < 0.1, rng.choice(SPECIAL, count), np.round(rng.normal(size=count), 2))
    return [(keys[each], int(at), float(value)) for each, at, value in zip(series, times, values, strict=True)]


def grouped(part: list[Sample]) -> Mapping[bytes, list[tuple[int, float]]]:
    found: dict[bytes, list[tuple[int, float]]] = {}
    for of, at, value in part:
        found.setdefault(of, []).append((at, value))
    return found


async def answers(store: Store, shard: object, account: int) -> list[object]:
    """Every kind of answer, with the bits of its floats."""
    found: list[object] = []
    for host in "abc":
        times, values = await samples(shard, account, key("load", host=host), NOW - 90 * DAY, NOW)
        found.append((times.tolist(), np.ascontiguousarray(values).view(np.uint64).tolist()))
    last = await latest(shard, account, "load")
    found.append(sorted((each, at, np.float64(value).view(np.uint64)) for each, (at, value) in last.items()))
    for interval in (60_000, 300_000, 3_600_000, DAY):
        whole = await aggregated(shard, account, "load", interval, NOW - 4 * DAY, NOW)
        for of in whole.series:
            columns = (of.start_ms, of.count, of.total, of.minimum, of.maximum, of.first, of.last)
            found.append((dict(of.labels), *(each.view(np.uint64).tolist() for each in columns)))
    found.append(repr(await statistics(shard, account, "load", NOW - 4 * DAY, NOW)))
    queries = ["load", "sum by (host) (sum_over_time(load[1d]))", "rate(load[2d])", "count_over_time(load[3d])"]
    for query in queries:
        instant = await shard.ask(account, Instant([InstantQuery(query, NOW - DAY)], 10**9, 60.0))
        found.append(repr(instant))
        found.append(repr(await shard.ask(account, Range(query, NOW - DAY, NOW, 3_600_000, 10**9, 60.0))))
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_every_history_of_the_same_samples_gives_the_same_answers(
    store: Store, accounts: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    wanted = made(rng, 400)
    one, two = accounts
    async with opened(store) as shard:
        await write(shard, one, grouped(wanted))
        expected = await answers(store, shard, one)
    # Any permutation, with duplicates, in parts, with flushes, compactions and restarts in between.
    again = [wanted[each] for each in rng.permutation(np.concatenate([np.arange(400), rng.integers(0, 400, 100)]))]
    cuts = np.sort(rng.integers(0, 500, 12)).tolist()
    parts = [again[begin:end] for begin, end in zip([0, *cuts], [*cuts, 500], strict=True) if begin < end]
    cache, recent = rng.choice([0, 20_000, 10**7]), rng.choice([0, 100, 10**6])
    small = MetricsSettings(cache_bytes=int(cache), recent_samples=int(recent))
    while parts:
        async with opened(store, small) as shard:
            for _ in range(int(rng.integers(1, 6))):
                if parts:
                    await write(shard, two, grouped(parts.pop()))
                what = rng.random()
                if what < 0.4:
                    await shard.flush(two)
                if what < 0.2:
                    await shard.compact(two)
                if rng.random() < 0.2:
                    await answers(store, shard, two)
            found = await answers(store, shard, two)
    assert found == expected
    async with opened(store, small) as shard:
        assert await answers(store, shard, two) == expected
        await shard.flush(two)
        await shard.compact(two)
        assert await answers(store, shard, two) == expected
    async with opened(store, small) as shard:
        assert await answers(store, shard, two) == expected
    assert await store.scalar("SELECT count(*) FROM metric_rollups WHERE account_id = :id", id=two) > 0


async def test_of_different_values_the_one_acknowledged_last_counts(store: Store, accounts: tuple[int, int]) -> None:
    account, cpu, at = accounts[0], key("cpu"), NOW - 2 * DAY
    value = 0.0
    settings_ = MetricsSettings(recent_samples=0)
    for _ in range(3):
        async with opened(store, settings_) as shard:
            for step in ("", "flush", "flush", "compact"):
                value += 1.0
                await write(shard, account, {cpu: [(at, -value), (at, value)]})
                if step:
                    await shard.flush(account)
                if step == "compact":
                    await shard.compact(account)
                times, values = await samples(shard, account, cpu, NOW - 3 * DAY, NOW)
                assert (times.tolist(), values.tolist()) == ([at], [value])
                days = await aggregated(shard, account, "cpu", DAY, NOW - 3 * DAY, NOW)
                assert days.series[0].total.tolist() == [value]
        async with opened(store, settings_) as shard:
            assert (await samples(shard, account, cpu, NOW - 3 * DAY, NOW))[1].tolist() == [value]


async def test_late_and_backfilled_samples_are_in_all_roll_ups(store: Store, accounts: tuple[int, int]) -> None:
    account, rng = accounts[0], np.random.default_rng(1)
    cpu = key("cpu", host="a")
    times = NOW - rng.choice(3 * DAY // 1_000, 3_000, replace=False) * 1_000
    values = np.round(rng.normal(size=3_000), 3)
    known: dict[int, float] = {}
    async with opened(store, MetricsSettings(recent_samples=0)) as shard:
        for begin in range(0, 3_000, 1_000):
            part = list(zip(times[begin : begin + 1_000].tolist(), values[begin : begin + 1_000].tolist(), strict=True))
            known |= dict(part)
            await write(shard, account, {cpu: part})
            if begin != 1_000:
                await shard.flush(account)
            if begin == 0:
                await shard.compact(account)
            for interval in (60_000, 300_000, 3_600_000, DAY):
                whole = await aggregated(shard, account, "cpu", interval, NOW - 4 * DAY, NOW)
                direct: dict[int, list[float]] = {}
                for at in sorted(known):
                    direct.setdefault(at // interval * interval, []).append(known[at])
                found = whole.series[0]
                assert found.start_ms.tolist() == list(direct)
                assert found.count.tolist() == [len(each) for each in direct.values()]
                assert found.minimum.tolist() == [min(each) for each in direct.values()]
                assert found.maximum.tolist() == [max(each) for each in direct.values()]
                assert found.first.tolist() == [each[0] for each in direct.values()]
                assert found.last.tolist() == [each[-1] for each in direct.values()]
                assert found.total.tolist() == [math.fsum(each) for each in direct.values()]
