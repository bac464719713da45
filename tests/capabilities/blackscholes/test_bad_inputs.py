"""What is wrong with a request is named by a pointer, and nothing is charged or computed."""

from typing import Any

import orjson
import pytest
from tests.capabilities.blackscholes.served import ROUTE, serving
from tests.store.stores import Store

from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica

GOOD: dict[str, Any] = {
    "type": "call",
    "spot": 100,
    "strike": [90, 110],
    "rate": 0.05,
    "volatility": 0.2,
    "expiry": 1.0,
}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names}


CASES: dict[str, tuple[Any, str]] = {
    "unequal lengths": ({"options": GOOD | {"volatility": [0.1, 0.2, 0.3]}}, "/options/strike"),
    "a list of one beside two": ({"options": GOOD | {"volatility": [0.1]}}, "/options/volatility"),
    "an empty list": ({"options": GOOD | {"volatility": []}}, "/options/volatility"),
    "unknown column": ({"options": GOOD | {"vol": 0.2}}, "/options/vol"),
    "unknown member": ({"options": GOOD, "greeks": True}, "/greeks"),
    "unknown output": ({"options": GOOD, "outputs": ["price", "lambda"]}, "/outputs/1"),
    "unknown style": ({"options": GOOD, "style": "bermudan"}, "/style"),
    "unknown type": ({"options": GOOD | {"type": ["call", "straddle"]}}, "/options/type/1"),
    "text": ({"options": GOOD | {"strike": [90, "110"]}}, "/options/strike/1"),
    "null": ({"options": GOOD | {"strike": [90, None]}}, "/options/strike/1"),
    "bool": ({"options": GOOD | {"spot": True}}, "/options/spot"),
    "object": ({"options": GOOD | {"spot": {}}}, "/options/spot"),
    "spot and forward": ({"options": GOOD | {"forward": 100}}, "/options/forward"),
    "neither spot nor forward": ({"options": without("spot")}, "/options/spot"),
    "volatility and price": ({"options": GOOD | {"price": 10}}, "/options/price"),
    "neither volatility nor price": ({"options": without("volatility")}, "/options/volatility"),
    "no strike": ({"options": without("strike")}, "/options/strike"),
    "no options": ({"outputs": ["price"]}, "/options"),
    "forward with yield": (
        {"options": without("spot") | {"forward": 100, "dividend_yield": 0.01}},
        "/options/dividend_yield",
    ),
    "american forward": ({"options": without("spot") | {"forward": 100}, "style": "american"}, "/options/forward"),
    "american vanna": ({"options": GOOD, "style": "american", "outputs": ["vanna"]}, "/outputs/0"),
    "european boundary": ({"options": GOOD, "outputs": ["exercise_boundary"]}, "/outputs/0"),
    "implied from volatility": ({"options": GOOD, "outputs": ["implied_volatility"]}, "/outputs/0"),
    "no outputs": ({"options": GOOD, "outputs": []}, "/outputs"),
    "dates without their day": ({"options": GOOD | {"expiry": "2027-01-15"}}, "/options/valuation_date"),
    "no date": (
        {"options": GOOD | {"expiry": ["2027-01-15", "2027-02-30"], "valuation_date": "2026-11-29"}},
        "/options/expiry/1",
    ),
    "day count": ({"options": GOOD | {"day_count": "actual"}}, "/options/day_count"),
    "too many rows": ({"options": GOOD | {"strike": [1.0] * 1001}}, "/options/strike"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
async def test_an_error_is_pointed_to_and_costs_nothing(store: Store, replica: BlackScholesReplica, case: str) -> None:
    body, pointer = CASES[case]
    caller = await store.account()
    async with serving(store, caller, replica, max_rows=1000) as served:
        before = await served.remaining()
        answer = await served.client.post(ROUTE, json=body)
        queued = await served.client.post("/jobs/", json={"kind": "blackscholes", "parameters": body})
        assert await served.remaining() == before
    assert answer.status_code == queued.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert f"/parameters{pointer}" in [error["pointer"] for error in queued.json()["errors"]]
    assert served.computed == []


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e400", b"-Infinity"])
async def test_numbers_that_are_not_finite_are_pointed_to(
    store: Store, replica: BlackScholesReplica, number: bytes
) -> None:
    caller = await store.account()
    body = orjson.dumps({"options": GOOD | {"spot": 123456}}).replace(b"123456", number)
    async with serving(store, caller, replica) as served:
        before = await served.remaining()
        answer = await served.client.post(ROUTE, content=body)
        assert await served.remaining() == before
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/options/spot"]


async def test_other_types_of_bodies_are_refused(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        csv = await served.client.post(ROUTE, content=b"a,b", headers={"Content-Type": "text/csv"})
        accept = await served.client.post(ROUTE, json={"options": GOOD}, headers={"Accept": "text/html"})
        query = await served.client.post(f"{ROUTE}?style=american", json={"options": GOOD})
    assert (csv.status_code, accept.status_code, query.status_code) == (415, 406, 422)
    assert "application/vnd.apache.arrow.stream" in csv.headers["accept"]
