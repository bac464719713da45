"""A shard of the capability in the test's own process, on real stores."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry
from tests.store.stores import Store

from luna_serving.capabilities.metrics.requests import Aggregate, Statistics
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.runs import Floats, Ints
from luna_serving.capabilities.metrics.shard.shard import MetricsShard
from luna_serving.samples.batch import Batch
from luna_serving.samples.identity import series_key
from luna_serving.samples.requests import Latest, Write, WriteLimits
from luna_serving.shards.shard import Place, ShardStores
from luna_store.platform.leases import acquire, release

UNLIMITED = WriteLimits(active_series=1_000_000, samples_per_s=100_000_000)
PLACE = Place("metrics", 0, 1)


@asynccontextmanager
async def opened(store: Store, settings: MetricsSettings | None = None, **more: Any) -> AsyncIterator[MetricsShard]:
    """An open shard under a lease of an hour; the lease ends with it."""
    lease = await acquire(store.engine, PLACE.lease, "test", lasts_s=3_600.0)
    assert lease is not None
    stores = ShardStores(store.engine, store.redis, CollectorRegistry())
    shard = MetricsShard(settings or MetricsSettings(), stores, PLACE, lease, **more)
    await shard.open()
    try:
        yield shard
    finally:
        await shard.close()
        await release(store.engine, lease)


def batch(series: Mapping[bytes, Sequence[tuple[int, float]]]) -> Batch:
    """A batch of samples by key."""
    offsets = np.cumsum([0, *(len(each) for each in series.values())], dtype=np.int64)
    samples = [sample for each in series.values() for sample in each]
    return Batch(
        list(series),
        offsets,
        np.array([each[0] for each in samples], np.int64),
        np.array([each[1] for each in samples], np.float64),
    )


def key(name: str, **labels: str) -> bytes:
    return series_key(name, labels)


async def write(shard: MetricsShard, account_id: int, series: Mapping[bytes, Sequence[tuple[int, float]]]) -> Any:
    return await shard.ask(account_id, Write(batch(series), UNLIMITED))


async def samples(shard: MetricsShard, account_id: int, of: bytes, first_ms: int, last_ms: int) -> tuple[Ints, Floats]:
    """The samples of one series as queries read them."""
    state = await shard._accounts.get(account_id)
    series_id = state.index.ids.get(of)
    if series_id is None:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    with shard._budget.hold() as held:
        return (await shard._selector.columns(state, np.array([series_id]), first_ms, last_ms, 10**9, held))[0]


async def latest(shard: MetricsShard, account_id: int, selector: str) -> dict[bytes, tuple[int, float]]:
    found = await shard.ask(account_id, Latest([selector], 10_000))
    return dict(zip(found.keys, zip(found.timestamps.tolist(), found.values.tolist(), strict=True), strict=True))


async def statistics(shard: MetricsShard, account_id: int, selector: str, first_ms: int, last_ms: int) -> Any:
    return await shard.ask(account_id, Statistics(selector, first_ms, last_ms, (0.5, 0.9, 0.99), 10**9))


async def aggregated(
    shard: MetricsShard, account_id: int, selector: str, interval_ms: int, first_ms: int, last_ms: int
) -> Any:
    return await shard.ask(account_id, Aggregate(selector, interval_ms, first_ms, last_ms, 10**9, 10**7))
