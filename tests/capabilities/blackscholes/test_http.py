"""`POST /blackscholes` and its job: the same answer by both doors, charged exactly."""

import math
from statistics import NormalDist
from typing import Any

import pytest
from tests.capabilities.blackscholes.served import ROUTE, serving
from tests.store.stores import Store

from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica

OPTIONS: dict[str, Any] = {
    "type": ["call", "put"],
    "spot": 100,
    "strike": [90, 110],
    "rate": 0.05,
    "dividend_yield": 0.02,
    "volatility": 0.2,
    "expiry": 1.0,
}
BODY: dict[str, Any] = {"options": OPTIONS, "style": "european", "outputs": ["price", "delta", "gamma"]}


def by_hand(sign: int, strike: float) -> float:
    """The price of OPTIONS' call or put, with the standard library's normal distribution."""
    d1 = (math.log(100 / strike) + 0.03 + 0.02) / 0.2
    cdf = NormalDist().cdf
    owned, owed = 100 * math.exp(-0.02) * cdf(sign * d1), strike * math.exp(-0.05) * cdf(sign * (d1 - 0.2))
    return sign * (owned - owed)


async def test_columns_are_answered_by_output(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        before = await served.remaining()
        answer = await served.client.post(ROUTE, json=BODY)
        assert await served.remaining() == before - 1
    document = answer.json()
    assert answer.status_code == 200
    assert list(document["results"]) == ["price", "delta", "gamma"]
    assert document["codes"] == [None, None]
    assert document["plan"] == {
        "rows": 2,
        "style": "european",
        "method": "closed_form",
        "outputs": ["price", "delta", "gamma"],
    }
    assert document["results"]["price"] == pytest.approx([by_hand(1, 90), by_hand(-1, 110)], rel=1e-13)
    assert '"quota"' in answer.headers["ratelimit"]


async def test_the_path_with_the_account_is_the_same(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        own = await served.client.post(ROUTE, json=BODY)
        named = await served.client.post(f"/{caller.account_id}{ROUTE}", json=BODY)
    assert own.content == named.content


async def test_scalars_are_lists_of_one(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        answer = await served.client.post(ROUTE, json={"options": OPTIONS | {"type": "call", "strike": 90}})
    assert len(answer.json()["results"]["price"]) == 1
    assert answer.json()["codes"] == [None]


async def test_prices_give_implied_volatilities(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        prices = (await served.client.post(ROUTE, json=BODY)).json()["results"]["price"]
        options = {name: value for name, value in OPTIONS.items() if name != "volatility"} | {"price": prices}
        answer = await served.client.post(ROUTE, json={"options": options, "outputs": ["implied_volatility"]})
    assert answer.json()["results"]["implied_volatility"] == pytest.approx([0.2, 0.2], rel=1e-14)
    assert answer.json()["plan"]["method"] == "lets_be_rational"


async def test_a_row_without_an_answer_gets_null_and_a_code(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    options = OPTIONS | {"type": "call", "strike": 100, "volatility": [0.2, -0.1, 0.2, 0.2], "expiry": [1, 1, 0, -1]}
    async with serving(store, caller, replica) as served:
        answer = await served.client.post(ROUTE, json={"options": options | {"spot": 110}, "outputs": ["price"]})
        implied = {name: value for name, value in OPTIONS.items() if name not in {"volatility", "strike", "type"}}
        implied |= {"type": "call", "strike": 90, "price": [5.0, 99.0, 15.0]}
        other = await served.client.post(ROUTE, json={"options": implied})
    price = answer.json()["results"]["price"]
    assert answer.json()["codes"] == [None, "invalid", "expired", "expired"]
    assert (price[1], price[2], price[3]) == (None, 10.0, None)
    assert other.json()["codes"] == ["below_intrinsic", "above_maximum", None]
    assert other.json()["results"]["implied_volatility"][:2] == [None, None]


async def test_american_options_come_with_their_exercise_boundary(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    body = {
        "options": OPTIONS | {"strike": 100, "rate": 0.05},
        "style": "american",
        "outputs": ["price", "delta", "exercise_boundary"],
    }
    async with serving(store, caller, replica) as served:
        american = (await served.client.post(ROUTE, json=body)).json()
        european = (await served.client.post(ROUTE, json=body | {"style": "european", "outputs": ["price"]})).json()
    call, put = american["results"]["exercise_boundary"]
    assert put < 100 < call
    assert american["plan"]["method"] == "spectral_collocation"
    pairs = zip(american["results"]["price"], european["results"]["price"], strict=True)
    assert all(a >= e for a, e in pairs)


async def test_a_long_calculation_is_the_job_of_its_name(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    options = OPTIONS | {"type": "put", "strike": [float(k) for k in range(1, 30_001)]}
    body = {"options": options, "style": "american", "outputs": ["price"]}
    async with serving(store, caller, replica) as served:
        before = await served.remaining()
        cost = await served.client.post(f"{ROUTE}?validate_only=true", json=body)
        assert await served.remaining() == before
        answer = await served.client.post(ROUTE, json=body)
        other = await served.client.post("/jobs/", json={"kind": "blackscholes", "parameters": body})
        assert await served.remaining() == before - 60
        assert served.computed == []
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/{caller.account_id}/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["units_reserved"]) == ("blackscholes", "queued", 30)
    assert job["progress"]["total"] == 30_000
    assert other.json()["units_reserved"] == 30
    assert cost.json() == {
        "units": 30,
        "plan": {"rows": 30_000, "style": "american", "method": "spectral_collocation", "outputs": ["price"]},
    }


async def test_prefer_respond_async_makes_a_job_of_any_call(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        answer = await served.client.post(ROUTE, json=BODY, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "respond-async"


async def test_a_call_with_an_idempotency_key_is_charged_once(store: Store, replica: BlackScholesReplica) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        before = await served.remaining()
        keyed = {"Idempotency-Key": "one"}
        first = await served.client.post(ROUTE, json=BODY, headers=keyed)
        again = await served.client.post(ROUTE, json=BODY, headers=keyed)
        other = await served.client.post(ROUTE, json=BODY | {"outputs": ["price"]}, headers=keyed)
        assert await served.remaining() == before - 1
        asynchronous = {"Idempotency-Key": "two", "Prefer": "respond-async"}
        job = await served.client.post(ROUTE, json=BODY, headers=asynchronous)
        same = await served.client.post(ROUTE, json=BODY, headers=asynchronous)
        assert await served.remaining() == before - 2
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert other.status_code == 422
    assert job.json()["id"] == same.json()["id"]
    assert served.computed == [2]
