"""Luna's own functions of PromQL are answered by the shard, from the history that it keeps."""

import time

import numpy as np
import pytest
from tests.capabilities.metrics.shard.shards import key, opened, write
from tests.store.stores import Store

from luna_serving.engines.promql.api import Vector
from luna_serving.samples.answers import QueryRefused, Refusal
from luna_serving.samples.requests import Instant, InstantQuery

MINUTE = 60_000


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000 // MINUTE * MINUTE


NOW = now()
HOURS = 30
QUERIES = (
    "luna_score(load)",
    "luna_band(load, 0.01)",
    "luna_band(load, 0.99)",
    "luna_forecast(load, 10m)",
    "luna_prob_cross(load, 80, 10m)",
    "max(abs(luna_score(load))) > 6",
)


async def test_a_level_has_a_band_around_it_and_a_jump_a_high_score(store: Store) -> None:
    account_id = (await store.account()).account_id
    noise = np.random.default_rng(7).normal(50.0, 1.0, HOURS * 60)
    times = [NOW - MINUTE * (len(noise) - i) for i in range(len(noise))]
    calm = list(zip(times, noise.tolist(), strict=True))
    async with opened(store) as shard:
        await write(shard, account_id, {key("load", host="a"): calm})

        async def asked(at_ms: int) -> list[list[float]]:
            request = Instant([InstantQuery(text, at_ms) for text in QUERIES], 10_000_000, 20.0)
            answers = await shard.ask(account_id, request)
            assert all(isinstance(each, Vector) for each in answers), answers
            return [each.values.tolist() for each in answers]

        (score,), (low,), (high,), (forecast,), (crossing,), alarms = await asked(NOW - MINUTE)
        assert abs(score) < 5
        assert 44 < low < 49 < forecast < 51 < high < 56
        assert crossing < 1e-6
        assert alarms == []
        await write(shard, account_id, {key("load", host="a"): [(NOW, 90.0)]})
        (after,), *_, (alarm,) = await asked(NOW)
        assert after > 20
        assert alarm == pytest.approx(after)


async def test_a_call_with_wrong_arguments_is_refused_with_its_place(store: Store) -> None:
    account_id = (await store.account()).account_id
    async with opened(store) as shard:
        request = Instant([InstantQuery("1 + luna_band(load)", NOW), InstantQuery("luna_bands(x)", NOW)], 1000, 5.0)
        short, unknown = await shard.ask(account_id, request)
    assert isinstance(short, QueryRefused)
    assert isinstance(unknown, QueryRefused)
    assert [short.why, unknown.why] == [Refusal.PARSE, Refusal.PARSE]
    assert "expected 2 argument(s)" in short.detail
    assert "unknown function" in unknown.detail
