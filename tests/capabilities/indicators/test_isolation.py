"""Callers do not affect each other: prices that are gone, calls that are cancelled, prices that are not granted."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

from luna_serving.capabilities.indicators.cache.breaker import Breaker
from luna_serving.capabilities.indicators.cache.lifetimes import Lifetimes
from luna_serving.capabilities.indicators.cache.lookup import Found, Lookup
from luna_serving.capabilities.indicators.cache.memory import Memory
from luna_serving.capabilities.indicators.cache.shared import SharedCache
from luna_serving.capabilities.indicators.calls.computing import Computing
from luna_serving.capabilities.indicators.jobs.batches import BarsGone
from luna_serving.capabilities.indicators.jobs.tasks import Formula, Task
from luna_serving.capabilities.indicators.metrics import CacheMetrics
from luna_serving.capabilities.indicators.replica import IndicatorReplica
from luna_serving.capabilities.indicators.settings import IndicatorSettings
from luna_serving.dispatch.outcomes import Unavailable
from luna_serving.prices.located import Adjust

CLOSE = {"expression": "close"}


@pytest.fixture
def market(tmp_path: Path) -> Market:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1), "MSFT": walk(2)})
    return market


def ema(market: Market, symbol: str) -> Task:
    return Task(market.versions[-1][symbol], Adjust.SPLITS, Formula("ema", (("period", 12),)))


async def test_prices_that_are_gone_fail_their_own_calls_only(market: Market) -> None:
    replica = IndicatorReplica(IndicatorSettings(), CollectorRegistry(), market.mapped())

    async def replicas(jobs: Sequence[Any]) -> Sequence[Any]:
        answers = await replica.compute(jobs)
        return [
            BarsGone("pruned", version_gone=True) if job.located.symbol == "MSFT" else answer
            for job, answer in zip(jobs, answers, strict=True)
        ]

    good, gone = await Computing(replicas).tasks([ema(market, "AAPL"), ema(market, "MSFT")])
    assert isinstance(good, bytes)
    assert gone == Unavailable("pruned")


async def test_a_call_whose_prices_are_gone_is_answered_503_and_not_charged(
    store: Store, market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    caller = await store.account()
    located = market.versions[-1]["MSFT"]
    broken = replace(located.file, digest="f" * 64)
    market.versions[-1]["MSFT"] = replace(located, file=broken)
    async with served(store, market) as luna, luna.client(caller) as client:

        async def fetch(*_: object) -> Path:
            raise OSError("the disk is full")

        luna.replicas.replica._markets._files._fetch = fetch  # type: ignore[union-attr,method-assign,assignment]
        with caplog.at_level(logging.WARNING, "luna.gate"):
            one, other = await asyncio.gather(
                client.get("/indicators/rsi?symbol=MSFT"), client.get("/indicators/rsi?symbol=AAPL")
            )
            batch = await client.post("/indicators", json={"symbols": ["MSFT"], "indicators": [{"name": "sma"}]})
        for _ in range(200):
            if await store.left(caller.account_id) == 499:
                break
            await asyncio.sleep(0.02)
    assert (one.status_code, other.status_code, batch.status_code) == (503, 200, 503)
    assert "retry-after" in one.headers
    assert "the disk is full" in caplog.text
    assert await store.left(caller.account_id) == 499


async def test_waiters_of_a_cancelled_call_compute_once_together(store: Store, market: Market) -> None:
    held, computed = asyncio.Event(), 0
    replica = IndicatorReplica(IndicatorSettings(), CollectorRegistry(), market.mapped())

    async def replicas(jobs: Sequence[Any]) -> Sequence[Any]:
        nonlocal computed
        computed += 1
        await held.wait()
        return await replica.compute(jobs)

    # No Redis, and so no lock but that of the flight.
    breaker = Breaker(failures=1, open_s=1e9, clock=lambda: 0.0)
    breaker.failed()
    loop = asyncio.get_running_loop()
    lookup = Lookup(
        Memory(1 << 24, loop.time),
        SharedCache(store.redis, most_bytes=1, longest_s=1),
        Computing(replicas).tasks,
        breaker,
        Lifetimes(60, 60, 60, 0.0, {}),
        CacheMetrics(CollectorRegistry()),
        timeout_s=1,
        lease_s=1,
        most_value_bytes=1,
    )
    task = ema(market, "AAPL")
    leader = asyncio.create_task(lookup.find([task]))
    await asyncio.sleep(0)
    waiters = [asyncio.create_task(lookup.find([task])) for _ in range(20)]
    await asyncio.sleep(0.05)
    leader.cancel()
    await asyncio.sleep(0.05)
    held.set()
    found = await asyncio.gather(*waiters)
    assert all(isinstance(each, Found) for [each] in found)
    assert computed == 2, "the cancelled one, and one for all who waited"


async def test_an_expression_of_bare_prices_needs_the_grant_of_the_market(store: Store, market: Market) -> None:
    caller = await store.account(allowed={"indicators": ["ema"]})
    reader = await store.account(allowed={"market": ["server"]})
    body = {"symbols": ["AAPL"], "indicators": [{"name": "custom:raw"}]}
    inline = {"bars": {"timestamp": ["2012-01-02"], "close": [1.0]}, "indicators": [{"name": "custom:raw"}]}
    async with served(store, market) as luna, luna.client(caller) as client, luna.client(reader) as granted:
        for each in (client, granted):
            assert (await each.put("/indicators/custom/raw", json=CLOSE)).status_code == 201
        denied = await client.get("/indicators/custom:raw?symbol=AAPL")
        refused = await client.post("/indicators", json=body)
        own = await client.post("/indicators", json=inline)
        allowed = await granted.get("/indicators/custom:raw?symbol=AAPL")
        many = await granted.post("/indicators", json=body)
    assert (denied.status_code, refused.status_code) == (403, 403)
    assert (denied.json()["capability"], denied.json()["name"]) == ("market", "server")
    assert refused.json()["errors"][0]["pointer"] == "/indicators/0/name"
    assert (own.status_code, allowed.status_code, many.status_code) == (200, 200, 200)
    assert await store.left(caller.account_id) == 499


async def test_an_answer_says_that_its_last_bar_has_closed_meanwhile(store: Store, market: Market) -> None:
    caller = await store.account()
    market.last_bar_closed = False
    market.put({"AAPL": walk(1)})
    async with served(store, market) as luna, luna.client(caller) as client:
        before = await client.get("/indicators/rsi?symbol=AAPL")
        market.versions[-1]["AAPL"] = replace(market.versions[-1]["AAPL"], last_bar_closed=True)
        after = await client.get("/indicators/rsi?symbol=AAPL")
    assert after.headers["cache-status"].startswith("luna; hit"), "the numbers are the same"
    shown = [each.json()["results"][0]["last_bar_closed"] for each in (before, after)]
    assert shown == [False, True]
    assert before.headers["etag"] != after.headers["etag"]
