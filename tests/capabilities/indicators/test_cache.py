"""The cache across replicas: one computation, the budget, outages, stale entries."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

from luna_serving.capabilities.indicators.cache.shared import BYTES, INDEX, LOCK, SharedCache, Write
from luna_serving.local.servers.valkey import ValkeyServer

RSI = "/indicators/rsi?symbol=AAPL"
RSI_KEY = "indicator:{server}:1:AAPL:1d:splits:rsi:period=14"


@pytest.fixture
def market(tmp_path: Path) -> Market:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1), "MSFT": walk(2)})
    return market


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    for _ in range(500):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never happened")


async def test_concurrent_calls_of_two_replicas_compute_once(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market, lease_s=30) as one, served(store, market, lease_s=30) as other:
        one.replicas.held = other.replicas.held = held = asyncio.Event()
        async with one.client(caller) as left, other.client(caller) as right:
            calls = [asyncio.create_task(client.get(RSI)) for client in (left, right) * 10]
            await until(lambda: store.redis.exists(RSI_KEY + LOCK))
            held.set()
            answers = await asyncio.gather(*calls)
        assert one.replicas.computed + other.replicas.computed == 1
    assert len({answer.content for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert await store.left(caller.account_id) == 480


async def test_the_lock_of_a_replica_that_died_delays_by_its_lease(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market, lease_s=1.0) as luna, luna.client(caller) as client:
        # What a replica leaves that is killed while it computes.
        await store.redis.set(RSI_KEY + LOCK, "dead", px=600)
        answer = await client.get(RSI)
        assert luna.replicas.computed == 1
    assert answer.status_code == 200
    assert answer.headers["cache-status"].startswith("luna; fwd=miss")


async def test_a_call_that_is_cancelled_leaves_no_lock(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market, lease_s=60) as luna, luna.client(caller) as client:
        luna.replicas.held = asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.get(RSI)
        await until(lambda: _none(store, RSI_KEY + LOCK))
        luna.replicas.held.set()
        answer = await client.get(RSI)
    assert answer.status_code == 200


async def _none(store: Store, key: str) -> bool:
    return not await store.redis.exists(key)


async def test_a_stale_history_is_served_and_computed_again(store: Store, market: Market) -> None:
    caller = await store.account()
    settings = {"ttl_s": 0.05, "ttl_jitter": 0.0, "stale_s": 600.0}
    async with served(store, market, **settings) as luna, luna.client(caller) as client:
        first = await client.get(RSI)
        await until(lambda: store.redis.exists(RSI_KEY))
        await asyncio.sleep(0.1)
        second = await client.get(RSI)
        assert second.headers["cache-status"].startswith("luna; hit; ttl=")
        assert int(second.headers["cache-status"].rpartition("=")[2]) <= 0
        assert luna.count("stale") == 1
        await until(lambda: asyncio.sleep(0, luna.replicas.computed == 2))
    assert second.content == first.content


async def test_the_cache_keeps_to_its_budget_and_leaves_other_keys_alone(store: Store) -> None:
    caller = await store.account()
    quota = await store.left(caller.account_id)
    cache = SharedCache(store.redis, most_bytes=10_000, longest_s=600)
    keys = [f"indicator:{{server}}:1:S{i}:1d:splits:rsi:period=14" for i in range(30)]
    for key in keys:
        await cache.put([Write(key, b"x" * 1000, 300)], {})
    present = [await store.redis.exists(key) for key in keys]
    assert present == [0] * 20 + [1] * 10, "the oldest went"
    assert int(await store.redis.get(BYTES)) == 10_000
    assert await store.redis.zcard(INDEX) == 10
    assert await store.left(caller.account_id) == quota
    every = [key async for key in store.redis.scan_iter("indicator*")]
    assert all([await store.redis.pttl(key) > 0 for key in every]), "every key of the cache expires"
    await cache.put([Write(keys[-1], b"x" * 1000, 300)], {})
    assert int(await store.redis.get(BYTES)) == 10_000, "the same one again does not count twice"


async def test_values_are_bytes_and_a_lock_is_given_back_by_its_holder_only(store: Store) -> None:
    cache = SharedCache(store.redis, most_bytes=10_000, longest_s=600)
    key = f"indicator:{{server}}:{uuid.uuid4().hex}"
    tokens = await cache.lock([key], 30)
    assert await cache.lock([key], 30) == {}
    await cache.unlock({key: "another's"})
    assert await cache.lock([key], 30) == {}
    await cache.put([Write(key, b"\xff\x00\xfe", 300)], tokens)
    found, missing = await cache.get([key, key + "x"])
    assert found is not None
    assert (found.data, missing) == (b"\xff\x00\xfe", None)
    assert 299 < found.left_s <= 300
    assert await cache.lock([key], 30) != {}


async def test_without_redis_the_answer_is_the_same_and_charged(
    open_store: Callable[[str], Store], market: Market, tmp_path: Path
) -> None:
    with ValkeyServer(tmp_path / "valkey", tmp_path) as valkey:
        store = open_store(valkey.url)
        caller = await store.account()
        async with served(store, market) as luna, luna.client(caller) as client:
            first = await client.get(RSI)
            batch = {"symbols": ["AAPL", "MSFT"], "indicators": [{"name": "sma"}]}
            many = await client.post("/indicators", json=batch)
            valkey.kill()
            again = await client.get(RSI)
            other = await client.get("/indicators/ema?symbol=MSFT")
            more = await client.post("/indicators", json=batch)
            for _ in range(3):
                await client.get(f"/indicators/ema?symbol=MSFT&period={20 + _}")
            gone = luna.registry.get_sample_value("luna_indicators_cache_breaker_open")
            valkey.start()
            back = await client.get("/indicators/ema?symbol=MSFT")
        await store.settler.settle()
        used = await store.used(caller.account_id)
    assert [each.status_code for each in (first, many, again, other, more, back)] == [200] * 6
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert more.content == many.content
    assert back.content == other.content
    assert other.headers["cache-status"] == "luna; fwd=bypass"
    assert gone == 1
    assert used == 1 + 2 + 1 + 1 + 2 + 3 + 1, "each answer was charged once"
