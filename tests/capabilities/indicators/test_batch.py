"""`POST /indicators`: items, errors, charges, forms, inline bars, custom indicators."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
FAST = {"id": "fast", "name": "ema", "params": {"period": 12}}
MACD = {"name": "macd"}


@pytest.fixture
def market(tmp_path: Path) -> Market:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1), "MSFT": walk(2, 300)})
    return market


def inline(bars: int = 60, **columns: Any) -> dict[str, Any]:
    whole = walk(3, bars)
    days = np.datetime_as_string(whole.timestamps, unit="D").tolist()
    return {"timestamp": days, "close": whole.close.tolist()} | columns


async def test_items_are_answered_in_order_and_each_pair_costs_a_unit(store: Store, market: Market) -> None:
    caller = await store.account()
    body = {"symbols": ["MSFT", "AAPL"], "indicators": [FAST, MACD], "start": "2012-10-01"}
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.post("/indicators", json=body)
        again = await client.post("/indicators", json=body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    order = [("MSFT", "fast"), ("MSFT", "macd"), ("AAPL", "fast"), ("AAPL", "macd")]
    assert [(each["symbol"], each["id"]) for each in results] == order
    assert list(results[1]["values"]) == ["macd", "macdsignal", "macdhist"]
    entry = CATALOGUE["ema"]
    whole = compute(entry, checked(entry, {"period": 12}), market.bars[1, "AAPL"])["ema"]
    assert results[2]["values"]["ema"] == pytest.approx(whole[results[2]["warmup_bars"] :].tolist(), rel=1e-15)
    assert again.content == answer.content
    assert again.headers["cache-status"].startswith("luna; hit")
    assert again.headers["etag"] == answer.headers["etag"]
    assert await store.left(caller.account_id) == 500 - 2 * 4


async def test_a_wrong_item_has_an_error_and_leaves_the_others_alone(store: Store, market: Market) -> None:
    caller = await store.account(allowed={"indicators": ["ema", "beta"]})
    items = [
        FAST,
        {"id": "a", "name": "nothing"},
        {"id": "b", "name": "ema", "params": {"period": 0}},
        {"id": "c", "name": "rsi"},
        {"id": "d", "name": "beta"},
        {"id": "e", "name": "custom:mine"},
    ]
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.post("/indicators", json={"symbols": ["AAPL", "NOPE"], "indicators": items})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [(each["symbol"], each["id"]) for each in body["results"]] == [("AAPL", "fast")]
    kinds = {(e["symbol"], e["id"]): e["type"].rpartition("/")[2] for e in body["errors"]}
    assert kinds["NOPE", "fast"] == "not-found"
    assert {name: kinds["AAPL", name] for name in "abcde"} == {
        "a": "not-found",
        "b": "invalid",
        "c": "not-allowed",
        "d": "invalid",
        "e": "not-found",
    }
    pointers = {e["id"]: e.get("pointer") for e in body["errors"] if e["symbol"] == "AAPL"}
    assert pointers["b"] == "/indicators/2/params/period"
    assert await store.left(caller.account_id) == 499


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"symbols": ["NOPE"], "indicators": [FAST]}, 404, "/symbols/0"),
        ({"symbols": ["NOPE", "NO"], "indicators": [FAST]}, 404, "/symbols/0"),
        ({"symbols": ["AAPL"], "indicators": [{"name": "nothing"}]}, 404, "/indicators/0/name"),
        ({"symbols": ["AAPL"], "indicators": [{"name": "rsi"}]}, 403, "/indicators/0/name"),
        (
            {"symbols": ["AAPL"], "indicators": [{"name": "ema", "params": {"period": 1.5}}]},
            422,
            "/indicators/0/params/period",
        ),
        ({"symbols": [], "indicators": [FAST]}, 422, "/symbols"),
        ({"symbols": ["AAPL", "AAPL"], "indicators": [FAST]}, 422, "/symbols/1"),
        ({"symbols": ["AAPL"], "indicators": []}, 422, "/indicators"),
        ({"symbols": ["AAPL"], "indicators": [FAST, FAST]}, 422, "/indicators/1/id"),
        ({"symbols": ["AAPL"]}, 422, "/indicators"),
        ({"indicators": [FAST]}, 422, "/symbols"),
        ({"symbols": ["AAPL"], "indicators": [FAST], "windw": 3}, 422, "/windw"),
        ({"symbols": ["AAPL"], "indicators": [FAST], "start": "x"}, 422, "/start"),
        ({"symbols": ["AAPL"], "bars": inline(), "indicators": [FAST]}, 422, "/bars"),
        ({"bars": {"close": [1.0]}, "indicators": [FAST]}, 422, "/bars/timestamp"),
        ({"bars": inline(close=[1.0]), "indicators": [FAST]}, 422, "/bars/close"),
        ({"bars": inline(price=[1.0]), "indicators": [FAST]}, 422, "/bars/price"),
        ({"bars": inline(2, timestamp=["2012-01-02", "2012-01-02"]), "indicators": [FAST]}, 422, "/bars/timestamp/1"),
        ({"bars": inline(2, timestamp=["2012-01-03", "2012-01-02"]), "indicators": [FAST]}, 422, "/bars/timestamp/1"),
        ({"bars": inline(2, timestamp=["2012-01-03", 4]), "indicators": [FAST]}, 422, "/bars/timestamp/1"),
        ({"bars": inline(2, close=[1.0, "x"]), "indicators": [FAST]}, 422, "/bars/close/1"),
        ({"dataset": "mine", "indicators": [FAST]}, 422, "/dataset"),
    ],
)
async def test_a_request_without_a_good_item_is_refused_and_costs_nothing(
    store: Store, market: Market, body: dict[str, Any], status: int, pointer: str
) -> None:
    caller = await store.account(allowed={"indicators": ["ema"]})
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.post("/indicators", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer, answer.text
    assert "ratelimit" in answer.headers
    assert await store.left(caller.account_id) == 500


async def test_inline_bars_have_no_symbol_and_nulls_are_gaps(store: Store, market: Market) -> None:
    caller = await store.account()
    bars = inline()
    bars["close"][20] = None
    items = [{"name": "sma", "params": {"period": 3}}, {"name": "atr"}]
    async with served(store, market) as luna, luna.client(caller) as client:
        skipped = await client.post("/indicators", json={"bars": bars, "indicators": items})
        spread = await client.post("/indicators", json={"bars": bars, "indicators": items, "gaps": "propagate"})
    assert skipped.status_code == 200, skipped.text
    (result,), (error,) = skipped.json()["results"], skipped.json()["errors"]
    assert (result["symbol"], result["data_version"], result["last_bar_closed"]) == (None, None, None)
    assert [i for i, v in enumerate(result["values"]["sma"]) if v is None] == [0, 1, 20]
    assert [i for i, v in enumerate(spread.json()["results"][0]["values"]["sma"]) if v is None] == [0, 1, 20, 21, 22]
    assert (error["id"], error["pointer"]) == ("atr", "/indicators/1/name")
    assert "high" in error["detail"]
    assert skipped.headers["cache-status"] == "luna; fwd=bypass"
    assert await store.left(caller.account_id) == 498


async def test_a_benchmark_may_be_inline(store: Store, market: Market) -> None:
    caller = await store.account()
    body = {"bars": inline(), "benchmark_bars": inline(), "indicators": [{"name": "correl", "params": {"period": 10}}]}
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.post("/indicators", json=body)
    assert answer.json()["results"][0]["values"]["correl"][-1] == pytest.approx(1.0)


@pytest.mark.parametrize("form", ["text/csv", ARROW, PARQUET])
async def test_tables_have_the_documented_columns_and_the_same_numbers(store: Store, market: Market, form: str) -> None:
    caller = await store.account()
    body = {"symbols": ["AAPL", "NOPE"], "indicators": [FAST, MACD], "start": "2012-01-10"}
    async with served(store, market) as luna, luna.client(caller) as client:
        plain = (await client.post("/indicators", json=body)).json()
        answer = await client.post("/indicators", json=body, headers={"Accept": f"{form};q=0.9, text/html"})
    assert answer.headers["content-type"] == form
    table = read(answer.content, form)
    assert table.column_names == ["symbol", "id", "timestamp", "ema", "macd", "macdsignal", "macdhist"]
    rows = table.to_pylist()
    fast = [row["ema"] for row in rows if row["id"] == "fast"]
    assert fast == plain["results"][0]["values"]["ema"]
    assert [row["macdhist"] for row in rows if row["id"] == "macd"] == plain["results"][1]["values"]["macdhist"]
    assert {row["symbol"] for row in rows} == {"AAPL"}
    assert all(row["macd"] is None for row in rows if row["id"] == "fast")
    if form != "text/csv":
        assert str(rows[0]["timestamp"])[:10] == "2012-01-10"
        facts = orjson.loads(table.schema.metadata[b"luna"])
        assert [each["symbol"] for each in facts["errors"]] == ["NOPE", "NOPE"]


def read(content: bytes, form: str) -> pa.Table:
    if form == ARROW:
        return pa.ipc.open_stream(content).read_all()
    if form == PARQUET:
        return pyarrow.parquet.read_table(io.BytesIO(content))
    return pyarrow.csv.read_csv(io.BytesIO(content))


async def test_a_form_that_is_not_offered_is_406(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller, Accept="text/html") as client:
        one = await client.get("/indicators/rsi?symbol=AAPL")
        many = await client.post("/indicators", json={"symbols": ["AAPL"], "indicators": [FAST]})
    assert (one.status_code, many.status_code) == (406, 406)
    assert await store.left(caller.account_id) == 500


async def test_a_large_request_is_computed_at_once_and_says_the_same(store: Store, market: Market) -> None:
    caller = await store.account(quota_limit=10_000)
    body = {"symbols": ["AAPL", "MSFT"], "indicators": [FAST, MACD, {"name": "rsi"}]}
    async with served(store, market) as luna, luna.client(caller) as client:
        small = await client.post("/indicators", json=body)
    async with served(store, market, cached_pairs=5) as luna, luna.client(caller) as client:
        large = await client.post("/indicators", json=body)
        assert luna.replicas.computed == 1
    assert large.headers["cache-status"] == "luna; fwd=bypass"
    assert large.json() == small.json()


async def test_an_account_cannot_ask_for_more_than_its_limits(store: Store, market: Market) -> None:
    caller = await store.account(max_series_per_request=1, max_series_length=50)
    async with served(store, market, max_answer_numbers=1000) as luna, luna.client(caller) as client:
        many = await client.post("/indicators", json={"symbols": ["AAPL", "MSFT"], "indicators": [FAST]})
        long = await client.post("/indicators", json={"bars": inline(51), "indicators": [FAST]})
        large = await client.post(
            "/indicators", json={"symbols": ["AAPL"], "indicators": [FAST, MACD, {"name": "rsi"}]}
        )
    assert [each.json()["errors"][0]["pointer"] for each in (many, long, large)] == [
        "/symbols",
        "/bars/timestamp",
        "/indicators",
    ]
    assert await store.left(caller.account_id) == 500


async def test_a_dead_replica_costs_nothing(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        luna.replicas.gone = True
        one = await client.get("/indicators/rsi?symbol=AAPL")
        many = await client.post("/indicators", json={"symbols": ["AAPL"], "indicators": [FAST]})
        luna.replicas.gone = False
        after = await client.get("/indicators/rsi?symbol=AAPL")
        for _ in range(100):
            if await store.left(caller.account_id) == 499:
                break
    assert (one.status_code, many.status_code, after.status_code) == (503, 503, 200)
    assert "retry-after" in one.headers
    assert await store.left(caller.account_id) == 499


@pytest.mark.parametrize(
    ("columns", "pointers"),
    [
        ({"high": [1.0, 3.0, 1.0], "low": [1.0, 2.0, 1.5]}, ["/bars/high/2"]),
        ({"high": [1.0, None, 0.5], "low": [2.0, 2.0, 0.5]}, ["/bars/high/0"]),
        ({"volume": [1.0, -1.0, None]}, ["/bars/volume/1"]),
    ],
)
async def test_inline_bars_that_an_import_would_refuse_are_refused(
    store: Store, market: Market, columns: dict[str, Any], pointers: list[str]
) -> None:
    caller = await store.account()
    body = {"bars": inline(3, **columns), "indicators": [{"name": "sma", "params": {"period": 2}}]}
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.post("/indicators", json=body)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == pointers
    assert await store.left(caller.account_id) == 500


async def test_names_in_another_case_are_answered_with_what_was_meant(store: Store, market: Market) -> None:
    caller = await store.account()
    body = {"symbols": ["AAPL", "msft", "nope"], "indicators": [FAST, {"name": "RSI"}]}
    async with served(store, market) as luna, luna.client(caller) as client:
        batch = (await client.post("/indicators", json=body)).json()
        indicator = (await client.get("/indicators/smaa?symbol=AAPL")).json()
        symbol = (await client.get("/indicators/sma?symbol=aapl")).json()
    details = {(each["symbol"], each["id"]): each["detail"] for each in batch["errors"]}
    assert "Did you mean 'MSFT'?" in details["msft", "fast"]
    assert "Did you mean 'rsi'?" in details["AAPL", "RSI"]
    assert "Did you mean" not in details["nope", "fast"]
    assert "Did you mean 'sma'?" in indicator["detail"]
    assert "Did you mean 'AAPL'?" in symbol["detail"]
