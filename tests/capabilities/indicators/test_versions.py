"""A new version of the market under load: each answer is right for the version that it names, and of one version."""

import asyncio
from pathlib import Path

import httpx
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute

SYMBOLS = ("AAPL", "MSFT", "IBM")
VERSIONS = 6


def last_of(market: Market, version: int, symbol: str) -> float:
    entry = CATALOGUE["ema"]
    return float(compute(entry, checked(entry, {"period": 12}), market.bars[version, symbol])["ema"][-1])


async def test_no_answer_is_wrong_or_mixed_while_versions_change(store: Store, tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put({symbol: walk(i) for i, symbol in enumerate(SYMBOLS)})
    caller = await store.account(quota_limit=100_000)
    seen: set[int] = set()
    stop = asyncio.Event()
    async with (
        served(store, market, located_s=0.05, cached_pairs=3) as one,
        served(store, market, located_s=0.05, cached_pairs=0) as other,
        one.client(caller) as left,
        other.client(caller) as right,
    ):

        async def single() -> int:
            calls = 0
            while not stop.is_set():
                answer = await left.get("/indicators/ema?symbol=AAPL&period=12")
                assert answer.status_code == 200, answer.text
                (result,) = answer.json()["results"]
                assert result["values"]["ema"][-1] == last_of(market, result["data_version"], "AAPL")
                seen.add(result["data_version"])
                calls += 1
            return calls

        async def many(client: httpx.AsyncClient) -> int:
            calls = 0
            body = {"symbols": list(SYMBOLS), "indicators": [{"name": "ema", "params": {"period": 12}}]}
            while not stop.is_set():
                answer = await client.post("/indicators", json=body)
                assert answer.status_code == 200, answer.text
                results = answer.json()["results"]
                assert len({each["data_version"] for each in results}) == 1, "of one version"
                for each in results:
                    assert each["values"]["ema"][-1] == last_of(market, each["data_version"], each["symbol"])
                calls += len(results)
            return calls

        running = [asyncio.create_task(each) for each in (single(), single(), many(left), many(right))]
        for version in range(2, VERSIONS + 1):
            await asyncio.sleep(0.3)
            drawn = {symbol: walk(10 * version + i, 400 + version) for i, symbol in enumerate(SYMBOLS)}
            await asyncio.to_thread(market.put, drawn)
        while VERSIONS not in seen:
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in running), [task for task in running if task.done()]
        stop.set()
        calls = sum(await asyncio.gather(*running))
    assert await store.left(caller.account_id) == 100_000 - calls
