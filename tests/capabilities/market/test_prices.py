"""`GET /prices` and `/symbols` on the prices that `luna up` comes with."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.capabilities.market.market import client_of, csv_file, demo, floats, imported, market_routes, rows
from tests.store.stores import Store

from luna_serving.local.demo_prices import stocks
from luna_serving.objects.client import ObjectStore


@pytest.fixture
async def routes(store: Store, objects: ObjectStore, tmp_path: Path) -> AsyncIterator[httpx.ASGITransport]:
    await demo(store, objects, tmp_path)
    async with market_routes(store, objects, tmp_path) as transport:
        yield transport


async def test_the_demo_prices_are_there(store: Store, routes: httpx.ASGITransport) -> None:
    async with client_of(store, routes) as client:
        page = (await client.get("/symbols")).json()
        assert [each["symbol"] for each in page["items"]] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
        assert sum(each["bars"] for each in page["items"]) == 12_154
        assert page["items"][0] == {
            "symbol": "AAPL",
            "name": "Apple Inc.",
            "exchange": "NASDAQ",
            "currency": "USD",
            "type": "stock",
            "intervals": ["1d"],
            "first": "2000-03-01",
            "last": "2013-03-01",
            "bars": 3270,
            "data_version": 1,
            "own": False,
        }
        splits = [a for a in (await client.get("/symbols/AAPL")).json()["corporate_actions"] if a["kind"] == "split"]
        assert splits == [
            {"ex_date": "2000-06-21", "kind": "split", "ratio": 2.0},
            {"ex_date": "2005-02-28", "kind": "split", "ratio": 2.0},
        ]
        answer = (await client.get("/prices", params={"symbols": "AAPL", "adjust": "none"})).json()
        assert answer["errors"] == []
        assert answer["next_cursor"] is None
        result = answer["results"][0]
        stock = stocks()["AAPL"]
        assert result["timestamps"] == stock["date"]
        assert {name: result["values"][name] for name in ("open", "high", "low", "close", "volume")} == {
            name: stock[name] for name in ("open", "high", "low", "close", "volume")
        }
        assert await store.left(client.account_id) == 1_000_000 - 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("symbol", "day"), [("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")])
async def test_closes_are_continuous_over_splits_to_the_true_return(
    store: Store, routes: httpx.ASGITransport, symbol: str, day: str
) -> None:
    stock = stocks()[symbol]
    at = stock["date"].index(day)
    true = stock["adj_close"][at] / stock["adj_close"][at - 1]
    async with client_of(store, routes) as client:
        span = {"symbols": symbol, "start": stock["date"][at - 1], "end": day}
        for adjust, expected in (("none", true / 2), ("splits", true), ("all", true)):
            values = (await client.get("/prices", params={**span, "adjust": adjust})).json()["results"][0]["values"]
            assert values["close"][1] / values["close"][0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
async def test_fully_adjusted_closes_are_proportional_to_the_packages_own(
    store: Store, routes: httpx.ASGITransport, symbol: str
) -> None:
    async with client_of(store, routes) as client:
        values = (await client.get("/prices", params={"symbols": symbol, "adjust": "all"})).json()["results"][0][
            "values"
        ]
    close, own = floats(values["close"]), floats(stocks()[symbol]["adj_close"])
    ratios = (close[1:] / close[:-1]) / (own[1:] / own[:-1])
    assert np.max(np.abs(ratios - 1)) < 1e-6


async def test_pages_in_both_orders_give_every_bar_once(store: Store, routes: httpx.ASGITransport) -> None:
    async with client_of(store, routes) as client:
        for order in ("asc", "desc"):
            asked = {"symbols": "FB,AAPL", "start": "2012-05-01", "limit": "100", "order": order}
            whole = (await client.get("/prices", params={**asked, "limit": "5000"})).json()
            seen: dict[str, list[str]] = {"FB": [], "AAPL": []}
            cursor: dict[str, str] = {}
            while True:
                answer = await client.get("/prices", params=asked | cursor)
                page = answer.json()
                for result in page["results"]:
                    assert len(result["timestamps"]) <= 100
                    seen[result["symbol"]] += result["timestamps"]
                if page["next_cursor"] is None:
                    break
                assert 'rel="next"' in answer.headers["link"]
                cursor = {"cursor": page["next_cursor"]}
            assert seen == {result["symbol"]: result["timestamps"] for result in whole["results"]}
            assert seen["FB"] == sorted(seen["FB"], reverse=order == "desc")
        newest = (await client.get("/prices", params={"symbols": "IBM", "order": "desc", "limit": "2"})).json()
        assert newest["results"][0]["timestamps"] == ["2013-03-01", "2013-02-28"]
        assert newest["results"][0]["values"]["close"] == stocks()["IBM"]["close"][:-3:-1]


async def test_start_and_end_are_inclusive(store: Store, routes: httpx.ASGITransport) -> None:
    async with client_of(store, routes) as client:
        span = {"symbols": "AAPL", "start": "2013-02-27", "end": "2013-02-28"}
        found = (await client.get("/prices", params=span)).json()["results"][0]["timestamps"]
        assert found == ["2013-02-27", "2013-02-28"]
        nothing = (await client.get("/prices", params={**span, "start": "2030-01-01", "end": "2031-01-01"})).json()
        assert nothing["results"][0]["timestamps"] == []


async def test_all_forms_hold_the_same_numbers(store: Store, routes: httpx.ASGITransport) -> None:
    asked = {"symbols": "AAPL,NOPE,MSFT", "start": "2012-01-01"}
    async with client_of(store, routes) as client:
        plain = (await client.get("/prices", params=asked)).json()
        stream = await client.get("/prices", params=asked, headers={"Accept": "application/vnd.apache.arrow.stream"})
        arrow = pa.ipc.open_stream(stream.content).read_all()
        file = await client.get("/prices", params=asked, headers={"Accept": "application/vnd.apache.parquet"})
        parquet = pq.read_table(io.BytesIO(file.content))
        text = await client.get("/prices", params=asked, headers={"Accept": "text/csv"})
        assert text.headers["content-type"].startswith("text/csv")
        assert (await client.get("/prices", params=asked, headers={"Accept": "image/png"})).status_code == 406
    assert arrow.column_names == ["symbol", "timestamp", "open", "high", "low", "close", "volume"]
    assert arrow.to_pylist() == parquet.to_pylist()
    closes = [close for result in plain["results"] for close in result["values"]["close"]]
    assert arrow["close"].to_pylist() == closes
    assert [str(day) for day in arrow["timestamp"].to_pylist()] == [
        day for result in plain["results"] for day in result["timestamps"]
    ]
    assert len(text.text.splitlines()) == 1 + len(closes)
    assert text.headers["luna-errors"] == "NOPE=not-found"
    assert b"NOPE" in arrow.schema.metadata[b"luna"]


async def test_one_bad_symbol_leaves_the_others_and_none_good_is_an_error(
    store: Store, routes: httpx.ASGITransport
) -> None:
    async with client_of(store, routes) as client:
        mixed = await client.get("/prices", params={"symbols": "NOPE,AAPL", "limit": "1"})
        assert mixed.status_code == 200
        assert [each["symbol"] for each in mixed.json()["results"]] == ["AAPL"]
        (error,) = mixed.json()["errors"]
        assert error["symbol"] == "NOPE"
        assert error["type"] == "https://luna.dev/problems/not-found"
        assert await store.left(client.account_id) == 999_999  # type: ignore[attr-defined]
        none = await client.get("/prices", params={"symbols": "NOPE"})
        assert none.status_code == 404
        assert (await client.get("/symbols/NOPE")).status_code == 404
        lower = [await client.get("/prices", params={"symbols": "aapl"}), await client.get("/symbols/aapl")]
        assert all("Did you mean 'AAPL'?" in each.json()["detail"] for each in lower)
        assert await store.left(client.account_id) == 999_999  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({}, "/query/symbols"),
        ({"symbols": "AAPL,,MSFT"}, "/query/symbols"),
        ({"symbols": "AAPL", "interval": "2d"}, "/query/interval"),
        ({"symbols": "AAPL", "adjust": "dividends"}, "/query/adjust"),
        ({"symbols": "AAPL", "start": "0"}, "/query/start"),
        ({"symbols": "AAPL", "start": "2013-02-30"}, "/query/start"),
        ({"symbols": "AAPL", "start": "2013-02-02", "end": "2013-02-01"}, "/query/start"),
        ({"symbols": "AAPL", "limit": "0"}, "/query/limit"),
        ({"symbols": "AAPL", "order": "up"}, "/query/order"),
        ({"symbols": "AAPL", "as_of": "yesterday"}, "/query/as_of"),
        ({"symbols": "AAPL", "cursor": "x"}, "/query/cursor"),
        ({"symbols": "AAPL", "symbol": "AAPL"}, "/query/symbol"),
    ],
    ids=lambda each: each if isinstance(each, str) else "&".join(f"{n}={v}" for n, v in each.items()) or "nothing",
)
async def test_wrong_parameters_are_refused_by_name_and_cost_nothing(
    store: Store, routes: httpx.ASGITransport, wrong: dict[str, str], pointer: str
) -> None:
    async with client_of(store, routes) as client:
        answer = await client.get("/prices", params=wrong)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert await store.left(client.account_id) == 1_000_000  # type: ignore[attr-defined]


async def test_an_etag_stays_until_the_data_change(
    store: Store, routes: httpx.ASGITransport, objects: ObjectStore, tmp_path: Path
) -> None:
    asked = {"symbols": "AAPL", "limit": "3"}
    async with client_of(store, routes) as client:
        first = await client.get("/prices", params=asked)
        etag = first.headers["etag"]
        again = await client.get("/prices", params=asked, headers={"If-None-Match": f'"other", W/{etag}'})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
        csv = await client.get("/prices", params=asked, headers={"Accept": "text/csv", "If-None-Match": etag})
        assert csv.status_code == 200
        await imported(store, objects, csv_file(tmp_path / "more.csv", rows("NEW", 3)))
        assert (await client.get("/prices", params=asked, headers={"If-None-Match": etag})).status_code == 200
        assert await store.left(client.account_id) == 1_000_000 - 4  # type: ignore[attr-defined]


async def test_history_is_cut_by_the_accounts_days_and_values_are_the_same(
    store: Store, routes: httpx.ASGITransport
) -> None:
    async with client_of(store, routes) as full, client_of(store, routes, history_days=90) as cut:
        for adjust in ("splits", "all"):
            whole = (await full.get("/prices", params={"symbols": "AAPL", "adjust": adjust})).json()["results"][0]
            part = (await cut.get("/prices", params={"symbols": "AAPL", "adjust": adjust})).json()["results"][0]
            count = len(part["timestamps"])
            assert part["timestamps"][0] == "2012-12-03"
            assert part["timestamps"] == whole["timestamps"][-count:]
            assert part["values"]["close"] == whole["values"]["close"][-count:]


async def test_an_account_without_the_grant_sees_nothing_of_the_servers_market(
    store: Store, routes: httpx.ASGITransport
) -> None:
    async with client_of(store, routes, allowed={"indicators": ["sma"]}) as client:
        assert (await client.get("/symbols")).json()["items"] == []
        assert (await client.get("/symbols/AAPL")).status_code == 404
        answer = await client.get("/prices", params={"symbols": "AAPL"})
        assert answer.status_code == 403
        assert answer.json()["name"] == "server"
    async with client_of(store, routes, allowed={"market": ["server"]}) as client:
        assert (await client.get("/prices", params={"symbols": "AAPL"})).status_code == 200


async def test_symbols_are_paged_and_filtered(store: Store, routes: httpx.ASGITransport) -> None:
    async with client_of(store, routes) as client:
        first = (await client.get("/symbols", params={"limit": "2"})).json()
        assert [each["symbol"] for each in first["items"]] == ["AAPL", "FB"]
        rest = (await client.get("/symbols", params={"limit": "9", "cursor": first["next_cursor"]})).json()
        assert [each["symbol"] for each in rest["items"]] == ["GOOG", "IBM", "MSFT"]
        for query, expected in (
            ({"query": "corp"}, ["IBM", "MSFT"]),
            ({"query": "aap"}, ["AAPL"]),
            ({"exchange": "NYSE"}, ["IBM"]),
            ({"type": "etf"}, []),
            ({"query": "%"}, []),
        ):
            found = (await client.get("/symbols", params=query)).json()
            assert [each["symbol"] for each in found["items"]] == expected
        assert await store.left(client.account_id) == 1_000_000  # type: ignore[attr-defined]
