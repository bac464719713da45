"""Looking for histories: stale ones that cannot be computed, and values that other replicas do not store."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from tests.capabilities.indicators.market import Market, served, walk
from tests.capabilities.indicators.test_cache import until
from tests.capabilities.indicators.test_isolation import ema
from tests.store.stores import Store

from luna_serving.capabilities.indicators.cache.breaker import Breaker
from luna_serving.capabilities.indicators.cache.lifetimes import Lifetimes
from luna_serving.capabilities.indicators.cache.lookup import Found, Lookup
from luna_serving.capabilities.indicators.cache.memory import RETRY_S, Memory
from luna_serving.capabilities.indicators.cache.shared import SharedCache
from luna_serving.capabilities.indicators.cache.status import Outcome
from luna_serving.capabilities.indicators.metrics import CacheMetrics
from luna_serving.capabilities.indicators.replica import IndicatorReplica
from luna_serving.capabilities.indicators.settings import IndicatorSettings
from luna_serving.dispatch.outcomes import Failed


async def test_a_stale_history_that_fails_is_tried_once_in_a_while(store: Store, tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1)})
    replica = IndicatorReplica(IndicatorSettings(), CollectorRegistry(), market.mapped())
    now, tries = [0.0], 0

    async def compute(tasks: Sequence[Any]) -> Sequence[Any]:
        nonlocal tries
        tries += 1
        return await replica.compute(tasks) if tries == 1 else [Failed() for _ in tasks]

    # No Redis, so that nothing but the memory holds calls back.
    breaker = Breaker(failures=1, open_s=1e9, clock=lambda: 0.0)
    breaker.failed()
    lookup = Lookup(
        Memory(1 << 24, lambda: now[0]),
        SharedCache(store.redis, most_bytes=1, longest_s=1),
        compute,
        breaker,
        Lifetimes(60, 60, 600, 0.0, {}),
        CacheMetrics(CollectorRegistry()),
        timeout_s=1,
        lease_s=1,
        most_value_bytes=1,
    )
    task = ema(market, "AAPL")
    await lookup.find([task])
    now[0] = 61.0
    for _ in range(3):
        # Several in one step of the event loop, and after a failure.
        for found in [lookup.at_hand(task) for _ in range(20)]:
            assert isinstance(found, Found)
            assert found.status.outcome is Outcome.STALE
        await asyncio.sleep(0.05)
    assert tries == 2
    now[0] += RETRY_S
    lookup.at_hand(task)
    await asyncio.sleep(0.05)
    assert tries == 3


async def test_a_value_that_is_too_large_to_store_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1)})
    caller = await store.account()
    settings = {"lease_s": 600.0, "max_cached_bytes": 1}
    async with served(store, market, **settings) as one, served(store, market, **settings) as other:
        one.replicas.held = held = asyncio.Event()
        async with one.client(caller) as left, other.client(caller) as right:
            first = asyncio.create_task(left.get("/indicators/rsi?symbol=AAPL"))
            await until(lambda: asyncio.sleep(0, one.replicas.computed))
            second = asyncio.create_task(right.get("/indicators/rsi?symbol=AAPL"))
            await asyncio.sleep(0.1)
            held.set()
            answers = await asyncio.gather(first, second)
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert other.replicas.computed == 1
