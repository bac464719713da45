"""Portfolios over real HTTP: published numbers, both doors, refusals that cost nothing."""

import asyncio
from typing import Any

import pytest
from tests.capabilities.markowitz.asking import COV, MEAN
from tests.engines.finance.markowitz.examples import (
    COUNTRY_COV,
    ERC_COV,
    ERC_WEIGHTS,
    GERMANY,
    MARKET,
    TEN_COV,
    TEN_MEANS,
    TEN_SHARPE,
    random_returns,
)
from tests.serving.platform import Caller, Platform

TEN = {"mean": TEN_MEANS, "cov": TEN_COV.tolist()}


async def ask(caller: Caller, path: str = "/markowitz", status: int = 200, **body: Any) -> dict[str, Any]:
    async with caller.client() as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_published_numbers(platform: Platform) -> None:
    caller = await platform.caller()
    ten = await ask(caller, **TEN, objective="max_sharpe")
    assert ten["sharpe"] == pytest.approx(TEN_SHARPE, abs=5e-11)
    erc = await ask(caller, cov=ERC_COV.tolist(), objective="risk_parity")
    assert erc["weights"] == pytest.approx(ERC_WEIGHTS, abs=5e-9)
    two = await ask(caller, cov=[[0.04, 0.006], [0.006, 0.09]], objective="min_variance")
    assert two["weights"][0] == pytest.approx((0.09 - 0.006) / (0.04 + 0.09 - 0.012), abs=1e-14)
    estimator = {
        "kind": "black_litterman",
        "market_weights": MARKET.tolist(),
        "views": [{"weights": GERMANY.tolist(), "mean": 0.05}],
    }
    view = await ask(caller, cov=COUNTRY_COV.tolist(), objective="max_sharpe", estimator=estimator)
    assert 100 * view["posterior"]["mean"][3] == pytest.approx(11.0375, abs=5e-5)
    assert 100 * view["posterior"]["weights"][3] == pytest.approx(35.4295, abs=5e-5)
    assert platform.used(caller.id) == 4


async def test_both_doors_give_the_same_answer_and_the_job_a_chart(platform: Platform) -> None:
    caller = await platform.caller()
    body = {**TEN, "objective": "efficient_frontier", "points": 10}
    at_once = await ask(caller, **body)
    created = await ask(caller, "/jobs/", 201, kind="markowitz", parameters=body)
    async with caller.client() as client:
        for _ in range(200):
            job = (await client.get(f"/jobs/{created['id']}")).json()
            if job["status"] == "succeeded":
                break
            await asyncio.sleep(0.1)
        assert (await client.get(f"/jobs/{created['id']}/result")).json() == at_once
        chart = await client.get(f"/jobs/{created['id']}/artifacts/frontier.svg")
        report = await client.get(f"/jobs/{created['id']}/artifacts/report.html")
    assert chart.headers["content-type"].startswith("image/svg+xml")
    assert "Efficient frontier" in report.text
    assert platform.used(caller.id) == 2


async def test_the_kalman_estimator_becomes_a_job(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client(Prefer="wait=50") as client:
        body = {"returns": random_returns(3, 1, 60).tolist(), "objective": "max_sharpe", "risk_free": -1}
        answer = await client.post("/markowitz", json=body | {"estimator": "kalman"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["location"].startswith(f"/api/v1/{caller.id}/jobs/")
    assert answer.json()["plan"]["estimator"] == "kalman"


async def test_refusals_of_both_doors_cost_nothing(platform: Platform) -> None:
    caller = await platform.caller()
    groups = [{"members": [0], "max": 0.3}, {"members": [1, 2], "max": 0.5}]
    body = {"cov": COV, "objective": "min_variance", "constraints": {"groups": groups}}
    for found in (
        await ask(caller, status=422, **body),
        await ask(caller, "/markowitz?validate_only=true", 422, **body),
    ):
        pointers = [error["pointer"] for error in found["errors"]]
        assert pointers == ["/constraints/groups/0/max", "/constraints/groups/1/max"]
        assert found["gap"] == pytest.approx(0.2)
    job = await ask(caller, "/jobs/", 422, kind="markowitz", parameters=body)
    assert job["errors"][0]["pointer"].endswith("/constraints/groups/0/max")
    assert job["gap"] == pytest.approx(0.2)
    rate = await ask(caller, status=422, mean=MEAN, cov=COV, objective="max_sharpe", risk_free=0.2)
    assert rate["errors"][0]["pointer"] == "/risk_free"
    psd = await ask(caller, status=422, cov=[[1, 2], [2, 1]], objective="min_variance")
    assert psd["eigenvalue"] == pytest.approx(-1)
    assert platform.used(caller.id) == 0


async def test_validation_says_what_it_would_cost(platform: Platform) -> None:
    caller = await platform.caller()
    found = await ask(caller, "/markowitz?validate_only=true", **TEN, objective="max_sharpe")
    assert found["units"] == 1
    assert found["plan"]["method"] == "critical_line"
    assert platform.used(caller.id) == 0


async def test_an_objective_that_is_not_granted_is_refused(platform: Platform) -> None:
    caller = await platform.caller(allowed={"markowitz": ["hrp"]})
    assert (await ask(caller, cov=COV, objective="hrp"))["plan"]["objective"] == "hrp"
    await ask(caller, status=403, cov=COV, objective="min_variance")
