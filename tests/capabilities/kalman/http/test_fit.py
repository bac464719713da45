"""Fits over real HTTP: published estimates, the deadline, charges, and that fits delay no other calls."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest
from statsmodels.datasets import nile
from statsmodels.tsa.statespace.tests.results.results_sarimax import air2_data
from tests.serving.platform import Platform

NILE = [float(v) for v in nile.load_pandas().data["volume"]]
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}


async def test_the_nile_is_estimated_as_the_books_say_and_its_model_can_be_sent_back(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post("/kalman/fit", json={"model": LEVEL, "observations": [NILE, NILE[:50]]})
        assert answer.status_code == 200, answer.text
        fitted, shorter = answer.json()["results"]
        again = await client.post(
            "/kalman/filter", json={"model": fitted["model"], "observations": [NILE], "outputs": ["loglike"]}
        )
    assert fitted["estimates"]["obs_var"] == pytest.approx(15098.518, abs=2e-3)
    assert fitted["estimates"]["level_var"] == pytest.approx(1469.176, abs=2e-3)
    assert fitted["loglike"] == pytest.approx(-633.46456364, abs=1e-8)
    assert fitted["converged"]
    assert fitted["why_stopped"] == "gradient below tolerance"
    assert fitted["cov_type"] == "observed_information"
    assert again.json()["results"][0]["loglike"] == pytest.approx(fitted["loglike"], rel=1e-12)
    assert shorter["loglike"] > fitted["loglike"]
    assert platform.used(caller.id) == 3


async def test_the_airline_model_is_estimated_as_by_stata(platform: Platform) -> None:
    """Stata differences first: the likelihood of an exact diffuse start without its 13 constants."""
    caller = await platform.caller()
    model = {
        "kind": "arima",
        "order": [0, 1, 1],
        "seasonal_order": [0, 1, 1, 12],
        "ma": [0],
        "seasonal_ma": [0],
        "var": 1,
    }
    series = np.log(np.array(air2_data, dtype=float)).tolist()
    request = {"model": model, "observations": [series], "loglike_convention": "kfas", "starts": 1}
    async with caller.client() as client:
        answer = await client.post("/kalman/fit", json=request)
    (fitted,) = answer.json()["results"]
    assert fitted["loglike"] == pytest.approx(244.69651, abs=5e-5)
    assert fitted["estimates"]["ma.0"] == pytest.approx(-0.4018324, abs=2e-5)
    assert fitted["estimates"]["seasonal_ma.0"] == pytest.approx(-0.5569342, abs=2e-5)
    assert fitted["standard_errors"]["ma.0"] == pytest.approx(0.0896442, abs=1e-6)


async def test_a_fit_that_is_too_large_for_its_deadline_answers_with_its_best_so_far(platform: Platform) -> None:
    caller = await platform.caller()
    levels = np.random.default_rng(5).normal(size=(150, 1000)).cumsum(axis=1)
    request = {"model": LEVEL, "observations": levels.tolist(), "starts": 1}
    async with caller.client() as client:
        for _ in range(2):  # the first compiles
            begun = time.monotonic()
            assert (await client.post("/kalman/fit", json=request)).status_code == 200
            one_s = time.monotonic() - begun
        # Half of what the first of the 20 searches per series takes on this machine.
        begun = time.monotonic()
        limit = {"X-Request-Timeout-Seconds": f"{0.5 * one_s:.3f}"}
        answer = await client.post("/kalman/fit", json=request | {"starts": 20}, headers=limit)
        took = time.monotonic() - begun
    assert answer.status_code == 200, answer.text
    assert took < one_s + 1.0
    results = answer.json()["results"]
    # Searches were not begun, or not finished; the answer has what was found by then.
    assert any(each["starts"] < 20 for each in results)
    assert any(each["why_stopped"] == "deadline" for each in results)
    assert any(each["loglike"] is not None for each in results)


async def test_no_filter_waits_for_a_fit(platform: Platform) -> None:
    caller = await platform.caller()
    levels = np.random.default_rng(6).normal(size=(300, 500)).cumsum(axis=1)
    long_fit = {"model": LEVEL, "observations": levels.tolist(), "starts": 20}
    # Enough that a busy machine, too, comes to a first estimate of each series.
    async with caller.client(**{"X-Request-Timeout-Seconds": "6"}) as client:
        fit = asyncio.create_task(client.post("/kalman/fit", json=long_fit))
        waits = []
        while not fit.done():
            begun = time.monotonic()
            answer = await client.post("/kalman", json={"results": NILE})
            waits.append(time.monotonic() - begun)
            assert answer.status_code == 200
        assert (await fit).status_code == 200, (await fit).text
    assert len(waits) > 10
    assert np.median(waits) < 0.2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"free": ["obs_var", "slope_var"]}, "/free/1"),
        ({"free": ["obs_var", "obs_var"]}, "/free/1"),
        ({"free": []}, "/free"),
        ({"model": {"kind": "local_level", "obs_var": 0, "level_var": 0}}, "/model/obs_var"),
        ({"method": "newton"}, "/method"),
        ({"starts": 0}, "/starts"),
        ({"max_iterations": 1.5}, "/max_iterations"),
        ({"outputs": ["loglike"]}, "/outputs"),
        ({"model": {"kind": "arima", "order": [1, 0, 0], "ar": [0.5], "var": 1}, "method": "em"}, "/method"),
    ],
)
async def test_a_mistake_is_named_by_its_field_and_costs_nothing(
    platform: Platform, change: dict[str, Any], pointer: str
) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.post("/kalman/fit", json={"model": LEVEL, "observations": [NILE]} | change)
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert platform.used(caller.id) == 0
