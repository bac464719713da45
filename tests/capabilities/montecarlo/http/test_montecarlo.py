"""Monte Carlo over real HTTP: at once or as a job with the same answer, charged by path-steps, extended, refused."""

import asyncio
import json
from typing import Any

import pytest
from tests.jobs.http.jobs import created, ended, events
from tests.serving.platform import Platform

GBM = {"kind": "gbm", "spot": 100, "rate": 0.05, "dividend_yield": 0.02, "volatility": 0.2}
EUROPEAN = {"kind": "european", "type": "call", "strike": 100}
BODY: dict[str, Any] = {"model": GBM, "payoff": EUROPEAN, "expiry": 1.0, "paths": 131_072, "seed": 7}
HESTON = {"kind": "heston", "spot": 100, "rate": 0.01, "dividend_yield": 0.02}
LEWIS = {**HESTON, "v0": 0.04, "kappa": 4, "theta": 0.25, "sigma": 1, "rho": -0.5}
BARRIER = {"kind": "barrier", "type": "call", "strike": 90, "barrier": 95, "direction": "down", "knock": "out"}
FIXINGS = {"kind": "asian", "type": "call", "strike": 100, "average": "geometric", "fixings": 10}
DATES = {"kind": "american", "type": "put", "strike": 40}

REFERENCES: dict[str, tuple[dict[str, Any], float]] = {
    "european": (BODY, 9.22700550815),
    "asian": (BODY | {"model": {**GBM, "rate": 0.06, "dividend_yield": 0.03}, "payoff": FIXINGS}, 5.342560663499),
    "barrier": (
        BODY
        | {
            "model": {"kind": "gbm", "spot": 100, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
            "payoff": {**BARRIER, "rebate": 3},
            "expiry": 0.5,
        },
        9.0246,
    ),
    "heston": (BODY | {"model": LEWIS, "paths": 50_000, "steps": 50}, 16.070154917028834),
    "american": (
        BODY
        | {"model": {"kind": "gbm", "spot": 36, "rate": 0.06, "volatility": 0.2}, "payoff": DATES, "paths": 50_000},
        4.477811,
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
async def test_references(platform: Platform, name: str) -> None:
    caller = await platform.caller(quota_limit=100)
    body, exact = REFERENCES[name]
    async with caller.client() as client:
        answer = await client.post("/montecarlo", json=body, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert abs(document["value"] - exact) < 4 * document["std_error"] + 1e-3
    interval = document["interval"]
    assert interval["lower"] < document["value"] < interval["upper"]


async def test_both_doors_give_the_same_bytes_and_an_extension_those_of_the_whole(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=100)
    async with caller.client() as client:
        at_once = await client.post("/montecarlo", json=BODY)
        assert at_once.status_code == 200, at_once.text
        assert platform.used(caller.id) == 1
        job = await ended(client, (await created(client, {"kind": "montecarlo", "parameters": BODY}))["id"])
        assert job["status"] == "succeeded", job
        assert job["result"] == at_once.json()
        names = [artifact["name"] for artifact in job["artifacts"]]
        assert {"fan.svg", "histogram.svg", "convergence.svg", "report.html"} <= set(names)

        more = await client.post(f"/jobs/{job['id']}/extend", json={"paths": 131_072})
        assert more.status_code == 202, more.text
        assert more.json()["id"] == job["id"]
        assert more.headers["location"].endswith(job["id"])
        extended = await ended(client, job["id"])
        whole = await client.post("/montecarlo", json=BODY | {"paths": 262_144})
        assert extended["result"] == whole.json()
        assert platform.used(caller.id) == 4

        wrong = await client.post(f"/jobs/{job['id']}/extend", json={"paths": 10**8})
        assert wrong.status_code == 422, wrong.text
        assert [error["pointer"] for error in wrong.json()["errors"]] == ["/paths"]
    assert platform.used(caller.id) == 4


async def test_a_long_run_is_a_job_whose_estimate_streams_and_that_can_be_cancelled(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=20_000)
    async with caller.client() as client:
        answer = await client.post("/montecarlo", json=BODY | {"paths": 50_000_000, "steps": 100, "sampling": "pseudo"})
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert job["units_reserved"] == 5000
        async with client.stream("GET", f"/jobs/{job['id']}/events") as stream, asyncio.timeout(60):
            async for event in events(stream):
                estimate = event.data["progress"]["estimate"]
                if estimate is not None:
                    break
        assert estimate["std_error"] > 0
        await client.delete(f"/jobs/{job['id']}")
        job = await ended(client, job["id"])
    assert job["status"] == "cancelled"
    document = job["result"]
    assert document["stopped"] == "cancelled"
    assert abs(document["value"] - 9.22700550815) < 5 * document["std_error"]
    assert job["units_used"] == -(-document["paths"] * 100 // 10**6)
    assert job["units_used"] < 5000
    assert platform.used(caller.id) == job["units_used"]


async def test_what_is_wrong_costs_nothing(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    wrong = [
        (BODY | {"model": {**GBM, "volatility": -0.2}}, "/model/volatility"),
        (BODY | {"paths": 10**9}, "/paths"),
        (BODY | {"payoff": {**BARRIER, "direction": "up"}}, "/payoff/barrier"),
    ]
    async with caller.client() as client:
        for body, pointer in wrong:
            for path, sent, prefix in (
                ("/montecarlo", body, ""),
                ("/jobs/", {"kind": "montecarlo", "parameters": body}, "/parameters"),
            ):
                answer = await client.post(path, json=sent)
                assert answer.status_code == 422, answer.text
                assert [error["pointer"] for error in answer.json()["errors"]] == [prefix + pointer]
        nan = json.dumps(BODY | {"expiry": float("nan")})
        answer = await client.post("/montecarlo", content=nan, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/expiry"
    assert platform.used(caller.id) == 0


async def test_validate_only_tells_cost_and_plan(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    async with caller.client() as client:
        answer = await client.post("/montecarlo?validate_only=true", json=BODY | {"paths": 2_000_000})
        document = answer.json()
    assert document["units"] == 2
    assert document["plan"]["sampling"] == "sobol"
    assert platform.used(caller.id) == 0
