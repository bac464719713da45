"""`GET /indicators/{name}`: answers, cache, conditions, forms."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.capabilities.indicators.market import SPLIT, Market, served, walk
from tests.store.stores import Store

from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute


@pytest.fixture
def market(tmp_path: Path) -> Market:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1), "MSFT": walk(2)})
    return market


def expected(market: Market, name: str, symbol: str = "AAPL", version: int = 1, **params: object) -> dict:
    entry = CATALOGUE[name]
    values = compute(entry, checked(entry, params), market.bars[version, symbol])
    return {output: [None if np.isnan(v) else v for v in column] for output, column in values.items()}


async def test_the_answer_has_the_documented_shape_and_the_engines_values(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.get("/indicators/ema", params={"symbol": "AAPL", "period": "12", "start": "2012-12-03"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["results", "errors"]
    (result,) = body["results"]
    assert list(result) == [
        "id",
        "symbol",
        "name",
        "params",
        "timestamps",
        "values",
        "lookback",
        "warmup_bars",
        "stability",
        "adjust",
        "data_version",
        "last_bar_closed",
    ]
    assert (result["name"], result["symbol"], result["params"]) == ("ema", "AAPL", {"period": 12})
    assert result["timestamps"][0] == "2012-12-03"
    whole = expected(market, "ema", period=12)["ema"]
    assert result["warmup_bars"] == 336
    assert result["values"] == {"ema": pytest.approx(whole[336:], rel=1e-15)}
    assert (result["lookback"], result["stability"], result["adjust"]) == (11, "converging", "splits")
    assert (result["data_version"], result["last_bar_closed"], body["errors"]) == (1, True, [])
    assert "ratelimit" in answer.headers
    assert answer.headers["content-type"] == "application/json"
    assert await store.left(caller.account_id) == 499


async def test_the_second_call_is_a_hit_with_the_same_tag_and_costs_the_same(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market, located_s=5.0) as luna, luna.client(caller) as client:
        first = await client.get("/indicators/rsi?symbol=AAPL")
        second = await client.get("/indicators/rsi?symbol=AAPL")
        known = await client.get("/indicators/rsi?symbol=AAPL", headers={"If-None-Match": f"W/{first.headers['etag']}"})
        cut = await client.get("/indicators/rsi?symbol=AAPL&start=2012-12-01")
        assert luna.replicas.computed == 1
    assert first.headers["cache-status"] == "luna; fwd=miss; stored"
    assert second.headers["cache-status"].startswith("luna; hit; ttl=")
    assert first.headers["etag"] == second.headers["etag"] == known.headers["etag"] != cut.headers["etag"]
    assert (known.status_code, known.content) == (304, b"")
    assert first.content == second.content
    assert first.headers["vary"] == "accept"
    assert await store.left(caller.account_id) == 496


async def test_another_replica_finds_what_the_first_has_stored(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        first = await client.get("/indicators/macd?symbol=AAPL")
        for _ in range(50):
            if await store.redis.keys("indicator:*"):
                break
    async with served(store, market) as luna, luna.client(caller) as client:
        second = await client.get("/indicators/macd?symbol=AAPL")
        assert luna.replicas.computed == 0
    assert second.headers["cache-status"].startswith("luna; hit")
    assert first.content == second.content
    (key,) = await store.redis.keys("indicator:*")
    assert key == "indicator:{server}:1:AAPL:1d:splits:macd:fast_period=12,signal_period=9,slow_period=26"


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("nothing?symbol=AAPL", 404, None),
        ("rsi?symbol=NOPE", 404, None),
        ("rsi?symbol=AAPL&interval=1h", 404, None),
        ("custom:mine?symbol=AAPL", 404, None),
        ("rsi", 422, "/query/symbol"),
        ("rsi?symbol=AAPL&period=0", 422, "/query/period"),
        ("rsi?symbol=AAPL&period=x", 422, "/query/period"),
        ("rsi?symbol=AAPL&period=14&period=15", 422, "/query/period"),
        ("rsi?symbol=AAPL&fast_period=3", 422, "/query/fast_period"),
        ("rsi?symbol=AAPL&length=3", 422, "/query/length"),
        ("rsi?symbol=AAPL&start=soon", 422, "/query/start"),
        ("rsi?symbol=AAPL&start=2013-01-02&end=2013-01-01", 422, "/query/start"),
        ("rsi?symbol=AAPL&adjust=some", 422, "/query/adjust"),
        ("rsi?symbol=AAPL&gaps=fill", 422, "/query/gaps"),
        ("rsi?symbol=AAPL&interval=2d", 422, "/query/interval"),
        ("rsi?symbol=AAPL&anchor=2012-02-01", 422, "/query/anchor"),
        ("beta?symbol=AAPL", 422, "/query/benchmark"),
        ("beta?symbol=AAPL&benchmark=NOPE", 422, "/query/benchmark"),
    ],
)
async def test_a_wrong_call_says_why_and_costs_nothing(
    store: Store, market: Market, query: str, status: int, pointer: str | None
) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.get(f"/indicators/{query}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "ratelimit" in answer.headers
    if pointer:
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert await store.left(caller.account_id) == 500


async def test_prices_are_adjusted_as_asked_and_a_benchmark_is_the_second_instrument(
    store: Store, tmp_path: Path
) -> None:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1), "MSFT": walk(2)}, [SPLIT])
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        raw = await client.get("/indicators/sma?symbol=AAPL&period=2&adjust=none")
        split = await client.get("/indicators/sma?symbol=AAPL&period=2")
        beta = await client.get("/indicators/beta?symbol=AAPL&benchmark=MSFT")
    before, after = (each.json()["results"][0] for each in (raw, split))
    assert before["values"]["sma"][50] == pytest.approx(2 * after["values"]["sma"][50])
    assert before["values"]["sma"][-1] == pytest.approx(after["values"]["sma"][-1])
    assert (before["adjust"], after["adjust"]) == ("none", "splits")
    assert beta.json()["results"][0]["params"] == {"period": 5, "benchmark": "MSFT"}


async def test_an_unknown_key_is_refused_before_names_are_looked_up(store: Store, market: Market) -> None:
    caller = await store.account()
    other = await store.account()
    async with served(store, market) as luna, httpx.AsyncClient(base_url=luna.url) as client:
        url = f"/api/v1/{caller.account_id}/indicators/nothing?symbol=AAPL"
        missing = await client.get(url)
        stranger = await client.get(url, headers={"X-API-Key": other.key.secret})
    assert (missing.status_code, stranger.status_code) == (401, 403)
