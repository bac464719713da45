"""A million samples in any order, with duplicates and in any parts: 200 queries answer the same bits."""

import hashlib
import struct
import time
from typing import Any

import numpy as np
import pytest
from tests.capabilities.metrics.shard.shards import UNLIMITED, key, opened
from tests.store.stores import Store

from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.samples.batch import Batch
from luna_serving.samples.requests import Instant, InstantQuery, Range, Write

DAY = 86_400_000
SERIES, SAMPLES, DAYS = 500, 1_000_000, 3
FUNCTIONS = (
    "rate",
    "increase",
    "delta",
    "sum_over_time",
    "avg_over_time",
    "stddev_over_time",
    "last_over_time",
    "deriv",
)
AGGREGATIONS = ("sum", "avg", "max", "stddev", "count")


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000


NOW = now()


def batch(series: np.ndarray, times: np.ndarray, values: np.ndarray) -> Batch:
    """Samples in any order as a batch: by series, and within one as they come."""
    order = np.argsort(series, kind="stable")
    ids, counts = np.unique(series[order], return_counts=True)
    keys = [key(f"load_{each % 5}", host=f"h{each // 5}", zone="abc"[each % 3]) for each in ids.tolist()]
    return Batch(keys, np.cumsum([0, *counts.tolist()], dtype=np.int64), times[order], values[order])


def queries(rng: np.random.Generator) -> list[Instant | Range]:
    """100 instant queries and 100 over a range."""
    found: list[Instant | Range] = []
    for i in range(200):
        name = f'load_{i % 5}{{host=~"h{rng.integers(0, 10)}.*"}}'
        over = f"{rng.choice(FUNCTIONS)}({name}[{rng.choice(['5m', '1h', '7h'])}])"
        text = str(rng.choice([name, over, f"{rng.choice(AGGREGATIONS)} by (zone) ({over})", f"topk(3, {over})"]))
        at = NOW - int(rng.integers(0, 2 * DAY))
        if i % 2:
            found.append(Instant([InstantQuery(text, at)], 10**9, 60.0))
        else:
            found.append(Range(text, at - 6 * 3_600_000, at, 300_000, 10**9, 60.0))
    return found


async def digest(shard: Any, account: int, asked: list[Instant | Range]) -> list[str]:
    """What each query answers, as a hash of its bits."""
    return [hashlib.sha256(exact(await shard.ask(account, each))).hexdigest() for each in asked]


def exact(answer: Any) -> bytes:
    """All of an answer: arrays by their bytes, floats by their bits."""
    match answer:
        case np.ndarray():
            return answer.tobytes()
        case float():
            return struct.pack("<d", answer)
        case list() | tuple():
            return b"(" + b",".join(exact(each) for each in answer) + b")"
        case dict():
            return b"{" + b",".join(exact(pair) for pair in sorted(answer.items())) + b"}"
        case _ if hasattr(answer, "__dataclass_fields__"):
            return exact([getattr(answer, name) for name in answer.__dataclass_fields__])
        case _:
            return repr(answer).encode()


@pytest.mark.slow
async def test_a_million_samples_answer_the_same_in_any_order_and_parts(store: Store) -> None:
    one, two = (await store.account()).account_id, (await store.account()).account_id
    rng = np.random.default_rng(15)
    series = rng.integers(0, SERIES, SAMPLES)
    # Distinct times: which of two values of one moment counts is another question.
    times = NOW - rng.permutation(SAMPLES) * (DAYS * DAY // SAMPLES)
    values = np.round(rng.normal(size=SAMPLES), 3)
    asked = queries(rng)
    async with opened(store) as shard:
        await shard.ask(one, Write(batch(series, times, values), UNLIMITED))
        expected = await digest(shard, one, asked)
    assert len(set(expected)) > 150
    order = rng.permutation(np.concatenate([np.arange(SAMPLES), rng.integers(0, SAMPLES, SAMPLES // 5)]))
    parts = np.split(order, np.sort(rng.integers(0, len(order), 40)))
    settings = MetricsSettings(cache_bytes=20_000_000, recent_samples=100_000)
    while parts:
        async with opened(store, settings) as shard:
            for _ in range(int(rng.integers(5, 15))):
                if parts and len(part := parts.pop()):
                    await shard.ask(two, Write(batch(series[part], times[part], values[part]), UNLIMITED))
                if rng.random() < 0.3:
                    await shard.flush(two)
                if rng.random() < 0.1:
                    await shard.compact(two)
    for compacted in (False, True):
        async with opened(store, settings) as shard:
            assert await digest(shard, two, asked) == expected
            await shard.flush(two)
            if compacted:
                await shard.compact(two)
            assert await digest(shard, two, asked) == expected
