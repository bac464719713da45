"""The published numbers, to their printed digits, over real HTTP: every kind of call, every kind of start."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.datasets import nile
from tests.serving.platform import Caller, Platform

NILE = [float(v) for v in nile.load_pandas().data["volume"]]
LEVEL = {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1}
KNOWN = {"kind": "known", "mean": [0.0], "cov": [[1e7]]}
WALK = {"kind": "state_space", "transition": [[1]], "design": [[1]], "obs_cov": [[1]], "state_cov": [[1]]}
LONGLEY = (
    -3482258.63459582,
    15.0618722713733,
    -0.0358191792925910,
    -2.02022980381683,
    -1.03322686717359,
    -0.0511041056535807,
    1829.15146461355,
)


async def ask(caller: Caller, task: str, **body: Any) -> dict[str, Any]:
    async with caller.client() as client:
        answer = await client.post(f"/kalman/{task}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert "NaN" not in answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("initial", "convention", "expected"),
    [
        ({"kind": "diffuse"}, "full", -633.4645636489),
        ({"kind": "diffuse"}, "kfas", -632.5456251157),
        (KNOWN, "full", -641.5855784594),
    ],
)
async def test_the_log_likelihood_of_the_nile(platform: Platform, initial, convention, expected) -> None:
    caller = await platform.caller()
    answer = await ask(
        caller,
        "filter",
        model={**LEVEL, "initial": initial},
        observations=[NILE],
        outputs=["loglike", "filtered_state", "filtered_state_cov"],
        loglike_convention=convention,
    )
    (result,) = answer["results"]
    assert result["loglike"] == pytest.approx(expected, abs=5e-11)
    assert result["filtered_state"][-1][0] == pytest.approx(798.370293, abs=5e-6)
    assert result["filtered_state_cov"][-1][0][0] == pytest.approx(4032.157942, abs=5e-5)


async def test_the_nile_smoothed_and_forecast(platform: Platform) -> None:
    caller = await platform.caller()
    smoothed = (await ask(caller, "smooth", model=LEVEL, observations=[NILE]))["results"][0]
    assert smoothed["smoothed_state"][0][0] == pytest.approx(1111.668319, abs=5e-7)
    assert smoothed["smoothed_state"][49][0] == pytest.approx(834.763259, abs=5e-7)
    assert smoothed["smoothed_state_cov"][49][0][0] == pytest.approx(2326.756870, abs=5e-7)
    forecast = (await ask(caller, "forecast", model=LEVEL, observations=[NILE], steps=30))["results"][0]
    for step, variance in ((1, 20600.2579), (2, 22069.3579), (30, 63204.1579)):
        assert forecast["variance"][step - 1] == pytest.approx(variance, abs=5e-5)
    assert platform.used(caller.id) == 2


async def test_longley_on_raw_columns(platform: Platform) -> None:
    """NIST StRD; at least nine digits are asked for."""
    caller = await platform.caller()
    data = sm.datasets.longley.load_pandas()
    model = {
        "kind": "structural",
        "obs_var": 304.854073561965**2,
        "level": {},
        "regression": {"regressors": data.exog.to_numpy(float).tolist()},
    }
    answer = await ask(
        caller, "filter", model=model, observations=[data.endog.astype(float).tolist()], outputs=["filtered_state"]
    )
    np.testing.assert_allclose(answer["results"][0]["filtered_state"][-1], LONGLEY, rtol=1e-9)
    assert answer["plan"]["algorithm"] == "multiprecision"


async def test_a_call_goes_on_from_the_state_of_an_earlier_one_to_the_last_digit(platform: Platform) -> None:
    caller = await platform.caller()
    outputs = ["filtered_state", "filtered_state_cov", "loglike_obs", "state"]
    whole = (await ask(caller, "filter", model=LEVEL, observations=[NILE], outputs=outputs))["results"][0]
    first = (await ask(caller, "filter", model=LEVEL, observations=[NILE[:37]], outputs=outputs))["results"][0]
    rest = await ask(caller, "filter", model=LEVEL, observations=[NILE[37:]], outputs=outputs, resume=[first["state"]])
    (after,) = rest["results"]
    assert first["filtered_state"] + after["filtered_state"] == whole["filtered_state"]
    assert after["loglike_obs"] == whole["loglike_obs"][37:]
    assert after["state"] == whole["state"]


async def test_several_observed_elements_with_gaps_and_correlated_noise(platform: Platform) -> None:
    """Shapes on the wire; the numbers are held against the dense Gaussian in tests/statespace."""
    caller = await platform.caller()
    model = {
        "kind": "state_space",
        "transition": [[1, 1], [0, 1]],
        "design": [[1, 0], [1, 0.5]],
        "obs_cov": [[1, 0.3], [0.3, 2]],
        "state_cov": [[0.1, 0], [0, 0.1]],
    }
    series = [[1, 2], [None, 3], [2, None], [4, 4]]
    outputs = ["forecast_error", "forecast_error_cov", "standardized_forecast_error", "loglike"]
    (result,) = (await ask(caller, "filter", model=model, observations=[series], outputs=outputs))["results"]
    assert result["forecast_error"][1][0] is None
    assert result["forecast_error"][1][1] is not None
    assert np.shape(result["forecast_error_cov"]) == (4, 2, 2)
    assert result["standardized_forecast_error"][0] == [None, None]
    assert np.isfinite(result["loglike"])


@pytest.mark.parametrize(
    ("change", "pointer", "cure"),
    [
        ({"model": {**LEVEL, "obs_var": -1}}, "/model/obs_var", "greater than or equal to 0"),
        ({"model": {"kind": "arima", "order": [1, 0, 0], "ar": [1.2], "var": 1}}, "/model/ar", "stationary"),
        (
            {
                "model": {
                    "kind": "state_space",
                    "transition": [[1]],
                    "design": [[1]],
                    "obs_cov": [[1, 2]],
                    "state_cov": [[1]],
                }
            },
            "/model/obs_cov",
            "shape",
        ),
        ({"model": {**WALK, "initial": {"kind": "stationary"}}}, "/model/initial", "diffuse"),
        ({"algorithm": "steady_state", "outputs": ["loglike"]}, "/algorithm", "filtered_state"),
        ({"resume": []}, "/resume", "one per series"),
        ({"observations": [[[1, 2]]]}, "/observations/0/0", "number"),
    ],
)
async def test_what_is_wrong_is_pointed_to_and_not_charged(platform: Platform, change, pointer, cure) -> None:
    caller = await platform.caller()
    body = {"model": LEVEL, "observations": [NILE], "outputs": ["filtered_state"], **change}
    async with caller.client() as client:
        answer = await client.post("/kalman/filter", json=body)
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    assert any(error["pointer"].startswith(pointer) and cure in error["detail"] for error in errors), errors
    assert platform.used(caller.id) == 0
