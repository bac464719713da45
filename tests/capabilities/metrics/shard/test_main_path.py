"""Samples that were acknowledged are in every answer: at once, after a flush, after a restart."""

import struct
import time

import numpy as np
import pytest
from tests.capabilities.metrics.shard.shards import key, opened, samples, write
from tests.store.stores import Store

from luna_serving.samples.answers import Written


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000


NOW = now()
HOUR = 3_600_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def bits(values: np.ndarray) -> list[int]:
    return np.ascontiguousarray(values).view(np.uint64).tolist()


@pytest.fixture
async def account(store: Store) -> int:
    return (await store.account()).account_id


async def test_a_sample_is_there_at_once_after_a_flush_and_after_a_restart(store: Store, account: int) -> None:
    cpu = key("cpu", host="a")
    wanted = [(NOW - 3_000, 1.5), (NOW - 2_000, STALE), (NOW - 1_000, -0.0)]
    async with opened(store) as shard:
        assert await write(shard, account, {cpu: wanted}) == Written(3)
        times, values = await samples(shard, account, cpu, NOW - HOUR, NOW)
        assert times.tolist() == [each[0] for each in wanted]
        expected = bits(np.array([each[1] for each in wanted]))
        assert bits(values) == expected
    async with opened(store) as shard:  # replays the write-ahead table
        assert bits((await samples(shard, account, cpu, NOW - HOUR, NOW))[1]) == expected
        await shard.flush(account)
        assert await store.scalar("SELECT count(*) FROM metric_writes") == 0
        assert await store.scalar("SELECT count(*) FROM metric_chunks") == 1
        assert bits((await samples(shard, account, cpu, NOW - HOUR, NOW))[1]) == expected
    async with opened(store) as shard:  # reads chunks
        assert bits((await samples(shard, account, cpu, NOW - HOUR, NOW))[1]) == expected
