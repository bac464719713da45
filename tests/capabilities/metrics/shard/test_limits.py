"""Limits of accounts: active series, samples per second, samples of a query, retention; and deleted accounts."""

import asyncio
import time

import pytest
from tests.capabilities.metrics.shard.shards import (
    UNLIMITED,
    aggregated,
    batch,
    key,
    opened,
    samples,
    statistics,
    write,
)
from tests.store.stores import Store

from luna_serving.capabilities.metrics.capability import forget
from luna_serving.capabilities.metrics.loops import partitions
from luna_serving.capabilities.metrics.requests import Describe, Forget, ListLabels, Metadata
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard import flushing, housekeeping
from luna_serving.capabilities.metrics.shard.account import AccountState
from luna_serving.capabilities.metrics.shard.admitting import Admitted, admit
from luna_serving.capabilities.metrics.shard.flushing import Flusher
from luna_serving.jobs.background import Background
from luna_serving.samples.answers import QueryRefused, Refusal, TooFast, Written
from luna_serving.samples.requests import Instant, InstantQuery, Write, WriteLimits
from luna_serving.shards.client import ShardClient
from luna_serving.shards.shard import NotOpen
from luna_store.platform.leases import acquire

DAY = 86_400_000


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000


NOW = now()


@pytest.fixture
async def account(store: Store) -> int:
    return (await store.account()).account_id


async def test_a_series_beyond_the_limit_is_refused_and_the_label_that_explodes_is_named(
    store: Store, account: int
) -> None:
    limits = WriteLimits(active_series=10, samples_per_s=10**6)
    wanted = {key("load", host="a", user=str(n)): [(NOW, float(n))] for n in range(15)}
    async with opened(store) as shard:
        answer = await shard.ask(account, Write(batch(wanted), limits))
        assert answer.samples == 10
        assert [each.index for each in answer.refused] == [10, 11, 12, 13, 14]
        again = await shard.ask(account, Write(batch(wanted), limits))
        assert again.samples == 10, "existing ones go on"
        assert "metrics.active_series, 10" in again.refused[0].detail
        assert "label 'user' has 10 values" in again.refused[0].detail
        names = await shard.ask(account, ListLabels("user", [], 0, NOW, 100))
        assert len(names.items) == 10
    async with opened(store) as shard:
        answer = await shard.ask(account, Write(batch(wanted), limits))
        assert answer.samples == 10, "also after a restart"
    async with opened(store, MetricsSettings(active_s=0.01)) as shard:
        time.sleep(0.05)  # noqa: ASYNC251  so that all are inactive
        answer = await shard.ask(account, Write(batch(dict(list(wanted.items())[10:])), limits))
        assert answer == Written(5), "series that are not active make room"


async def test_more_samples_than_the_rate_are_refused_with_the_time_to_wait(store: Store, account: int) -> None:
    limits = WriteLimits(active_series=10, samples_per_s=100)
    write_ = Write(batch({key("load"): [(NOW - n, 1.0) for n in range(900)]}), limits)
    async with opened(store) as shard:
        assert await shard.ask(account, write_) == Written(900)
        answer = await shard.ask(account, write_)
        assert isinstance(answer, TooFast)
        assert 7.5 < answer.retry_after_s <= 8.0
        assert "metrics.samples_per_second is 100" in answer.detail


async def test_a_query_of_too_many_samples_is_refused(store: Store, account: int) -> None:
    async with opened(store) as shard:
        await write(shard, account, {key("load"): [(NOW - n, 1.0) for n in range(1_000)]})
        query = InstantQuery("sum_over_time(load[1h])", NOW)
        (answer,) = await shard.ask(account, Instant([query], 999, 60.0))
        assert isinstance(answer, QueryRefused)
        assert answer.why is Refusal.LIMIT
        (answer,) = await shard.ask(account, Instant([query], 10_000, 60.0))
        assert answer.values.tolist() == [1_000.0]


async def test_a_query_that_takes_too_long_or_is_wrong_is_refused(store: Store, account: int) -> None:
    async with opened(store) as shard:
        await write(shard, account, {key("load"): [(NOW - n, 1.0) for n in range(1_000)]})
        (answer,) = await shard.ask(account, Instant([InstantQuery("sum(load", NOW)], 10**9, 60.0))
        assert (answer.why, answer.offset) == (Refusal.PARSE, 8)
        (answer,) = await shard.ask(account, Instant([InstantQuery("load", NOW)], 10**9, 0.0))
        assert answer.why is Refusal.TIMEOUT


async def test_what_is_older_than_the_retention_is_in_no_answer_and_is_removed(store: Store, account: int) -> None:
    cpu, old = key("cpu"), key("old")
    settings = MetricsSettings(recent_samples=0, active_s=0.001)
    async with opened(store, settings) as shard:
        await write(shard, account, {cpu: [(NOW - n * DAY, float(n)) for n in range(40)], old: [(NOW - 35 * DAY, 1.0)]})
        await shard.flush(account)
        await shard.compact(account)
        limits = '{"metrics.retention_days": 30}'
        await store.execute("UPDATE accounts SET limits = CAST(:l AS jsonb) WHERE id = :id", l=limits, id=account)
        await shard._housekeeper.once()
        assert (await samples(shard, account, cpu, 0, NOW))[1].tolist() == [float(n) for n in range(29, -1, -1)]
        assert (await statistics(shard, account, "cpu", 0, NOW)).count == 30
        days = await aggregated(shard, account, "cpu", DAY, 0, NOW)
        assert 29 <= len(days.series[0].count) <= 31
        assert 30 <= await store.scalar("SELECT count(*) FROM metric_chunks") <= 31
        assert await store.scalar("SELECT count(*) FROM metric_series") == 1
        names = await shard.ask(account, ListLabels("__name__", [], 0, NOW, 100))
        assert names.items == ["cpu"]
        assert await write(shard, account, {old: [(NOW, 1.0)]}) == Written(1), "it may come again"
        assert (await samples(shard, account, old, 0, NOW))[1].tolist() == [1.0]


async def test_partitions_of_old_days_are_dropped_and_those_of_the_next_week_are_made(store: Store) -> None:
    account = (await store.account()).account_id
    async with opened(store) as shard:
        await write(shard, account, {key("cpu"): [(NOW - n * DAY, float(n)) for n in (1, 95)]})
        await shard.flush(account)
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'metric_chunks'::regclass"
    assert await store.scalar(count) == 3  # two days and the default one
    lease = await acquire(store.engine, "metrics.partitions", "test", lasts_s=60.0)
    assert lease is not None
    await partitions(Background(store.engine, store.redis), lease)
    assert await store.scalar(count) == 1 + 1 + 8
    assert await store.scalar("SELECT count(*) FROM metric_chunks") == 1
    assert await store.scalar("SELECT count(*) FROM metric_chunks_default") == 0


async def test_nothing_is_left_of_a_deleted_account(store: Store, account: int) -> None:
    other = (await store.account()).account_id
    async with opened(store) as shard:
        for each in (account, other):
            await write(shard, each, {key("cpu"): [(NOW - n * DAY, float(n)) for n in range(5)]})
            await shard.flush(each)
            await shard.compact(each)
            await write(shard, each, {key("cpu"): [(NOW, 1.0)]})
        await store.execute("DELETE FROM accounts WHERE id = :id", id=account)
        assert await shard.ask(account, Write(batch({key("cpu"): [(NOW, 2.0)]}), UNLIMITED)) == NotOpen()
        shards = {"metrics": ShardClient([shard.ask])}
        await forget(Background(store.engine, store.redis, shards=shards), account)
        await forget(Background(store.engine, store.redis, shards=shards), account)
        tables = ("accounts", "series", "latest", "metadata", "writes", "days", "rollups", "chunks")
        for table in tables:
            left = await store.scalar(f"SELECT count(*) FROM metric_{table} WHERE account_id = :id", id=account)
            assert left == 0, table
        assert await shard.ask(account, Forget()) is None
        assert (await samples(shard, other, key("cpu"), 0, NOW))[1].tolist() == [4.0, 3.0, 2.0, 1.0, 1.0]


async def test_metadata_is_bounded(store: Store, account: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "MOST_METADATA", 3)
    async with opened(store) as shard:
        await shard.ask(account, Describe({"a": ("gauge", "", ""), "b": ("gauge", "", "")}))
        await shard.ask(account, Describe(dict.fromkeys("dcba", ("counter", "more", ""))))
        found = await shard.ask(account, Metadata(None, 100))
        assert list(found) == ["a", "b", "d"]
        assert {of[0] for of in found.values()} == {"counter"}, "known ones change"
    assert await store.scalar("SELECT count(*) FROM metric_metadata") == 3


async def test_a_request_waits_while_postgres_does_not_answer(store: Store, account: int) -> None:
    async with opened(store) as shard:
        await write(shard, account, {key("cpu"): [(NOW, 1.0)]})
        await store.execute("ALTER TABLE metric_metadata RENAME TO elsewhere")
        try:
            assert await shard.ask(account, Describe({"a": ("gauge", "", "")})) == NotOpen()
        finally:
            await store.execute("ALTER TABLE elsewhere RENAME TO metric_metadata")
        assert await shard.ask(account, Describe({"a": ("gauge", "", "")})) is None


async def test_one_account_that_cannot_be_flushed_does_not_stop_the_others(
    store: Store, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = (await store.account()).account_id
    flush = Flusher.flush

    async def failing(flusher: Flusher, state: AccountState) -> None:
        if state.account_id == account:
            raise RuntimeError("a fault")
        await flush(flusher, state)

    monkeypatch.setattr(Flusher, "flush", failing)
    monkeypatch.setattr(flushing, "LOOK_S", 0.02)
    async with opened(store, MetricsSettings(flush_samples=100)) as shard:
        for each in (account, other):
            await write(shard, each, {key("cpu"): [(NOW + n, 1.0) for n in range(100)]})
        async with asyncio.timeout(10):
            while not await store.scalar(f"SELECT count(*) FROM metric_chunks WHERE account_id = {other}"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await write(shard, account, {key("cpu"): [(NOW, 2.0)]}) == Written(1)


async def test_a_write_of_a_state_that_was_dropped_meanwhile_takes_nothing_from_another(
    store: Store, account: int
) -> None:
    async with opened(store) as shard:
        assert await write(shard, account, {key("a"): [(NOW, 1.0)]}) == Written(1)
        old = await shard._accounts.get(account)
        shard._accounts.drop(account)
        new = await shard._accounts.get(account)
        # A commit of the old state was under way while the new one was read.
        old.gone = False
        admitted = admit(old, batch({key("b"): [(NOW, 2.0)]}), UNLIMITED, 3_600.0)
        assert isinstance(admitted, Admitted)
        await shard._committer.commit(old, admitted)
        assert new.seq < old.seq
        assert await write(shard, account, {key("c"): [(NOW, 3.0)]}) == NotOpen(), "asked again by the client"
        assert await write(shard, account, {key("c"): [(NOW, 3.0)]}) == Written(1)
        for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
            assert (await samples(shard, account, key(name), NOW, NOW))[1].tolist() == [value]
    async with opened(store) as shard:
        for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
            assert (await samples(shard, account, key(name), NOW, NOW))[1].tolist() == [value]
