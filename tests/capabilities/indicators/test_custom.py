"""Custom indicators: kept, called, conditional, granted."""

from pathlib import Path

import pytest
from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Store

SPREAD = {"expression": "ema(close, 12) - ema(close, 26)"}


@pytest.fixture
def market(tmp_path: Path) -> Market:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1), "MSFT": walk(2, 300)})
    return market


async def test_an_expression_is_kept_called_changed_and_deleted(store: Store, market: Market) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        made = await client.put("/indicators/custom/spread", json=SPREAD)
        assert made.status_code == 201, made.text
        same = await client.put("/indicators/custom/spread", json=SPREAD)
        one = await client.get("/indicators/custom:spread?symbol=AAPL")
        macd = await client.get("/indicators/macd?symbol=AAPL")
        changed = await client.put(
            "/indicators/custom/spread", json={"expression": "close"}, headers={"If-Match": made.headers["etag"]}
        )
        late = await client.put("/indicators/custom/spread", json=SPREAD, headers={"If-Match": made.headers["etag"]})
        twice = await client.put("/indicators/custom/spread", json=SPREAD, headers={"If-None-Match": "*"})
        other = await client.get("/indicators/custom:spread?symbol=AAPL")
        batch = await client.post(
            "/indicators", json={"symbols": ["AAPL"], "indicators": [{"id": "x", "name": "custom:spread"}]}
        )
        shown = await client.get("/indicators/custom/spread")
        known = await client.get("/indicators/custom/spread", headers={"If-None-Match": shown.headers["etag"]})
        listed = await client.get("/indicators/custom?limit=1")
        gone = await client.delete("/indicators/custom/spread")
        after = await client.get("/indicators/custom/spread")
    assert made.headers["location"].endswith("/indicators/custom/spread")
    assert (same.status_code, same.headers["etag"]) == (200, made.headers["etag"])
    assert one.status_code == 200, one.text
    result = one.json()["results"][0]
    assert (result["name"], result["params"], result["lookback"]) == ("custom:spread", {}, 25)
    values, reference = result["values"]["custom:spread"], macd.json()["results"][0]["values"]["macd"]
    assert values[-1] == pytest.approx(reference[-1], rel=1e-6)
    assert (changed.status_code, late.status_code, twice.status_code) == (200, 412, 412)
    assert changed.headers["etag"] != made.headers["etag"]
    assert other.json()["results"][0]["values"] != result["values"]
    assert batch.json()["results"][0]["values"] == other.json()["results"][0]["values"]
    assert shown.json()["expression"] == "close"
    assert known.status_code == 304
    assert [each["name"] for each in listed.json()["indicators"]] == ["spread"]
    assert listed.json()["next_cursor"] is None
    assert (gone.status_code, after.status_code) == (204, 404)
    assert await store.left(caller.account_id) == 500 - 4
    actions = await store.scalar(
        "SELECT string_agg(action, ' ' ORDER BY at) FROM audit_log WHERE account_id = :id AND subject = 'spread'",
        id=caller.account_id,
    )
    assert actions == "indicator.created indicator.changed indicator.deleted"


@pytest.mark.parametrize(
    ("name", "body", "pointer"),
    [
        ("spread", {"expression": "close.__class__"}, "/expression"),
        ("spread", {"expression": "lag(close, -1)"}, "/expression"),
        ("spread", {"expression": "__import__('os')"}, "/expression"),
        ("spread", {}, "/expression"),
        ("spread", {"expression": "close", "more": 1}, "/more"),
        ("Spread", SPREAD, "/path/name"),
    ],
)
async def test_what_is_no_indicator_is_refused_with_its_place(
    store: Store, market: Market, name: str, body: dict[str, object], pointer: str
) -> None:
    caller = await store.account()
    async with served(store, market) as luna, luna.client(caller) as client:
        answer = await client.put(f"/indicators/custom/{name}", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_an_indicator_inside_that_is_not_granted_is_403(store: Store, market: Market) -> None:
    caller = await store.account(allowed={"indicators": ["sma", "ema"]})
    async with served(store, market) as luna, luna.client(caller) as client:
        denied = await client.put("/indicators/custom/x", json={"expression": "sma(close, 3) - rsi(close, 14)"})
        granted = await client.put("/indicators/custom/x", json={"expression": "sma(close, 3) - ema(close, 4)"})
        await store.accounts.update(caller.account_id, allowed={"indicators": ["sma"]})
        await store.cache.rebuild(caller.account_id)
        called = await client.get("/indicators/custom:x?symbol=AAPL")
        batch = await client.post("/indicators", json={"symbols": ["AAPL"], "indicators": [{"name": "custom:x"}]})
    assert (denied.status_code, denied.json()["name"]) == (403, "rsi")
    assert granted.status_code == 201
    assert (called.status_code, called.json()["name"]) == (403, "ema")
    assert batch.status_code == 403
    assert await store.left(caller.account_id) == 500


async def test_names_belong_to_their_account(store: Store, market: Market) -> None:
    one, other = await store.account(), await store.account()
    async with served(store, market, max_custom=1) as luna, luna.client(one) as mine, luna.client(other) as theirs:
        await mine.put("/indicators/custom/a", json=SPREAD)
        full = await mine.put("/indicators/custom/b", json=SPREAD)
        unseen = await theirs.get("/indicators/custom:a?symbol=AAPL")
        shared = await theirs.put("/indicators/custom/theirs", json={"expression": "ema(close,12)-ema(close,26)"})
        await mine.get("/indicators/custom:a?symbol=AAPL")
        hit = await theirs.get("/indicators/custom:theirs?symbol=AAPL")
    assert (full.status_code, unseen.status_code, shared.status_code) == (409, 404, 201)
    assert hit.headers["cache-status"].startswith("luna; hit"), "equal expressions share their history"
    assert list(hit.json()["results"][0]["values"]) == ["custom:theirs"]
