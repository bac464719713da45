"""Tiers: grants, the day's quota, and limits of history, which cut the output and never the input."""

from datetime import date, timedelta
from pathlib import Path

from tests.capabilities.indicators.market import Market, served, walk
from tests.store.stores import Caller, Store

from luna_store.tiers import TIERS


async def of_tier(store: Store, name: str) -> Caller:
    return await store.account(**TIERS[name].defaults())


async def test_a_tier_grants_cuts_and_counts(store: Store, tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.put({"AAPL": walk(1, 600)})
    free, premium = await of_tier(store, "free"), await of_tier(store, "premium")
    async with served(store, market) as luna, luna.client(free) as poor, luna.client(premium) as rich:
        whole = (await rich.get("/indicators/ema?symbol=AAPL")).json()["results"][0]
        first = await poor.get("/indicators/ema?symbol=AAPL")
        batch = await poor.post("/indicators", json={"symbols": ["AAPL"], "indicators": [{"name": "ema"}]})
        early = await poor.get("/indicators/ema?symbol=AAPL&end=2012-02-01")
        denied = await poor.get("/indicators/macd?symbol=AAPL")
        allowed = await rich.get("/indicators/macd?symbol=AAPL")
        rest = [await poor.get("/indicators/sma?symbol=AAPL") for _ in range(48)]
    cut = first.json()["results"][0]
    last = date.fromisoformat(whole["timestamps"][-1])
    assert cut["timestamps"][0] == (last - timedelta(days=89)).isoformat()
    kept = len(cut["timestamps"])
    assert kept == 90
    assert cut["timestamps"] == whole["timestamps"][-kept:]
    assert cut["values"]["ema"] == whole["values"]["ema"][-kept:], "the input is the same"
    assert cut["warmup_bars"] == 600 - kept
    assert first.headers["cache-status"].startswith("luna; hit"), "tiers share one history"
    assert batch.json()["results"][0]["timestamps"] == cut["timestamps"]
    assert early.json()["results"][0]["timestamps"] == []
    assert (denied.status_code, allowed.status_code) == (403, 200)
    assert (denied.json()["capability"], denied.json()["name"]) == ("indicators", "macd")
    assert "spec.allowed.indicators" in denied.json()["detail"]
    assert "Tier" in denied.json()["detail"]
    assert [each.status_code for each in rest] == [200] * 47 + [429], "three units were used before"
    assert rest[-1].json()["type"].endswith("/quota-exhausted")
    assert int(rest[-1].headers["retry-after"]) <= 86_400
