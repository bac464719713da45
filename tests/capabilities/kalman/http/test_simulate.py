"""Simulation over real HTTP: reproducible, charged by the series, refused where it must be."""

import numpy as np
from tests.serving.platform import Platform

KNOWN = {"kind": "known", "mean": [100.0], "cov": [[4.0]]}
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5, "initial": KNOWN}
DIFFUSE = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}


async def test_the_seed_of_an_answer_repeats_it(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    request = {"model": LEVEL, "length": 50, "draws": 20}
    async with caller.client() as client:
        first = await client.post("/kalman/simulate", json=request)
        again = await client.post("/kalman/simulate", json=request | {"seed": first.json()["seed"]})
        other = await client.post("/kalman/simulate", json=request)
    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    assert other.json()["seed"] != first.json()["seed"]
    (result,) = first.json()["results"]
    assert np.shape(result["states"]) == (20, 50, 1)
    assert np.shape(result["observations"]) == (20, 50)
    assert abs(np.mean(result["states"], axis=0)[0, 0] - 100) < 5 * 2 / np.sqrt(20)
    assert platform.used(caller.id) == 3


async def test_draws_given_series_cost_a_unit_each_and_hold_what_was_observed(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    series = [[1.0, None, 3.0], [7.0, 8.0]]
    request = {"model": DIFFUSE, "observations": series, "draws": 3, "steps": 4, "seed": 1}
    async with caller.client() as client:
        answer = await client.post("/kalman/simulate", json=request)
    assert answer.status_code == 200, answer.text
    for sent, result in zip(series, answer.json()["results"], strict=True):
        drawn = np.array(result["observations"])
        assert drawn.shape == (3, len(sent) + 4)
        there = [i for i, x in enumerate(sent) if x is not None]
        np.testing.assert_array_equal(drawn[:, there], [[sent[i] for i in there]] * 3)
        assert np.isfinite(drawn).all()
    assert platform.used(caller.id) == 2


async def test_what_cannot_be_drawn_is_refused_and_costs_nothing(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=10)
    wrong = [
        ({"model": DIFFUSE, "length": 5}, "/model/initial"),
        ({"model": LEVEL}, "/length"),
        ({"model": LEVEL, "length": 1_000_000, "draws": 100}, "/draws"),
        ({"model": DIFFUSE, "observations": [[1.0], [None]]}, "/observations/1"),
    ]
    async with caller.client() as client:
        for request, pointer in wrong:
            answer = await client.post("/kalman/simulate", json=request)
            assert answer.status_code == 422, answer.text
            assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    assert platform.used(caller.id) == 0


async def test_the_route_is_in_the_document(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        document = (await client.get(f"{platform.url}/openapi.json")).json()
    operation = document["paths"]["/api/v1/{account_id}/kalman/simulate"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/SimulateRequest")
    assert "SimulateAnswer" in document["components"]["schemas"]
