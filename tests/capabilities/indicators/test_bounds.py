"""What a request may cost: instruments of a data set, numbers of an answer, memory of a batch."""

import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

from luna_serving.capabilities.indicators.compute import answer_of
from luna_serving.capabilities.indicators.jobs.batches import Batch, Order
from luna_serving.capabilities.indicators.jobs.tasks import Formula
from luna_serving.capabilities.indicators.jobs.windows import Window
from luna_serving.prices.located import Adjust, DatasetOrigin, Located
from luna_serving.prices.sources import BarsReference

EMA = {"name": "ema"}


class OwnMarket(Market):
    """All that it has is a data set of the account, too."""

    async def locate_dataset(self, account_id: int, reference: BarsReference, at: str) -> Sequence[Located]:
        del reference, at
        origin = DatasetOrigin("mine", 1, "0" * 64)
        return [replace(each, market=f"{account_id}.mine", dataset=origin) for each in self.versions[-1].values()]


async def test_a_data_set_has_as_many_instruments_as_a_body_may_name(store: Store, tmp_path: Path) -> None:
    market = OwnMarket(tmp_path)
    market.put({f"S{i}": walk(i, 30) for i in range(4)})
    caller = await store.account()
    async with served(store, market, max_symbols=3) as luna, luna.client(caller) as client:
        refused = await client.post("/indicators", json={"dataset": "mine", "indicators": [EMA]})
    async with served(store, market, max_symbols=4) as luna, luna.client(caller) as client:
        answer = await client.post("/indicators", json={"dataset": "mine", "indicators": [EMA]})
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == "/dataset"
    assert len(answer.json()["results"]) == 4
    assert await store.left(caller.account_id) == 500 - 4


async def test_a_limit_of_history_does_not_make_an_own_data_set_look_small(store: Store, tmp_path: Path) -> None:
    market = OwnMarket(tmp_path)
    market.put({"AAPL": walk(1, 400)})
    caller = await store.account(history_days=10)
    async with served(store, market, max_answer_numbers=100) as luna, luna.client(caller) as client:
        own = await client.post("/indicators", json={"dataset": "mine", "indicators": [EMA]})
        servers = await client.post("/indicators", json={"symbols": ["AAPL"], "indicators": [EMA]})
    assert own.status_code == 422, "all 400 bars of it would be shown"
    assert own.json()["errors"][0]["pointer"] == "/indicators"
    assert servers.status_code == 200, servers.text
    assert len(servers.json()["results"][0]["timestamps"]) == 10


def test_about_is_what_cut_shows(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1, 400)})
    located = market.versions[-1]["AAPL"]
    own = replace(located, dataset=DatasetOrigin("mine", 1, "0" * 64))
    start = datetime(2012, 6, 1, tzinfo=UTC)
    assert Window(history_days=10).about(400, located) == 11
    assert Window(history_days=10).about(400, own) == 400
    assert Window(start).about(400, own) == (located.last - start) // timedelta(days=1) + 1
    assert Window(history_days=10).about(400, None) == 400


def test_a_batch_holds_what_it_shows_and_not_the_histories(tmp_path: Path) -> None:
    bars = 20_000
    history = walk(1, bars)
    market = Market(tmp_path)
    market.put({"AAPL": history})
    located = market.versions[-1]["AAPL"]
    orders = tuple(Order(f"e{i}", Formula("ema", (("period", 10 + i),)), {"period": 10 + i}) for i in range(100))
    window = Window(start=located.last - timedelta(days=4))
    batch = Batch((located,), orders, Adjust.NONE, window, "application/json")
    with ThreadPoolExecutor(1) as pool:
        tracemalloc.start()
        try:
            body = answer_of(batch, [history], {}, pool)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        whole = answer_of(replace(batch, window=Window()), [history], {}, pool)
    assert peak < len(orders) * bars * 8 / 4, f"{peak} bytes for 500 numbers"
    results, wholes = orjson.loads(body)["results"], orjson.loads(whole)["results"]
    for short, long in zip(results, wholes, strict=True):
        assert short["values"]["ema"] == long["values"]["ema"][-5:]
        assert short["timestamps"] == long["timestamps"][-5:]
        assert (short["warmup_bars"], long["warmup_bars"]) == (bars - 5, 0)
