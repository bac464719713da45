"""Regressors, trends and null rows from a request's bytes to its answer."""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from luna_serving.capabilities.kalman.fits.compute import fit_jobs
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.replica import compute
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.wire.model import read_model
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import FilterRequest, ForecastRequest, SeriesRequest, SmoothRequest
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.wire.problems import Problem

configure_jax()
LIMITS = SeriesLimits(max_series_length=10_000, max_series_per_request=10, max_answer_numbers=1_000_000)
WIRE = Wire(LIMITS)
GAP = {"kind": "structural", "obs_var": 1, "level": {"var": 0.5}, "regression": {"regressors": [[1], [2], None, [5]]}}
TREND = {"kind": "arima", "order": [1, 0, 0], "ar": [0.5], "var": 1, "trend": [0, 1]}
Y = (2 + 0.3 * np.arange(80) + np.random.default_rng(0).normal(size=80)).round(3).tolist()


def answered(schema: type[SeriesRequest], model: object, *series: object, **request: object) -> Any:
    work: Any = WIRE.parse_series(schema, orjson.dumps({"model": model, "observations": series, **request}))
    (answer,) = compute([work.job])
    assert isinstance(answer, bytes), answer
    return json.loads(answer)["results"]


def test_what_is_forecast_of_an_observation_without_regressors_is_null() -> None:
    outputs = ["forecasts", "forecast_error_cov", "filtered_state", "loglike"]
    found = answered(FilterRequest, GAP, [1.0, 3.0, None, 7.0], outputs=outputs)[0]
    assert [each is None for each in found["forecasts"]] == [False, False, True, False]
    assert [each is None for each in found["forecast_error_cov"]] == [False, False, True, False]
    filled = {**GAP, "regression": {"regressors": [[1], [2], [9], [5]]}}
    other = answered(FilterRequest, filled, [1.0, 3.0, None, 7.0], outputs=outputs)[0]
    assert found["filtered_state"] == other["filtered_state"]
    assert found["loglike"] == other["loglike"]


def test_a_null_row_is_found_where_a_series_goes_on() -> None:
    first = answered(FilterRequest, GAP, [1.0, 3.0], outputs=["state"])[0]["state"]
    rest = answered(FilterRequest, GAP, [None, 7.0], outputs=["forecasts", "loglike"], resume=[first])[0]
    whole = answered(FilterRequest, GAP, [1.0, 3.0, None, 7.0], outputs=["forecasts"])[0]
    assert rest["forecasts"] == whole["forecasts"][2:] == [None, rest["forecasts"][1]]
    with pytest.raises(Problem) as refusal:
        answered(FilterRequest, GAP, [2.0], resume=[first])
    assert refusal.value.extra["errors"][0]["pointer"] == "/model/regression/regressors/2"


def test_the_original_route_answers_null_there() -> None:
    work: Any = WIRE.parse_original(orjson.dumps({"model": GAP, "results": [1.0, 3.0, None, 7.0]}))
    (answer,) = compute([work.job])
    assert [each is None for each in json.loads(answer)] == [False, False, True, False]


def test_a_trend_goes_on_in_the_forecast_and_after_a_resume() -> None:
    """The coefficients are those of least squares with AR(1) errors, in the caller's unit of a step."""
    rows = [[1.0, float(t)] for t in range(90)]
    regression = {**{k: v for k, v in TREND.items() if k != "trend"}, "regression": {"regressors": rows}}
    trend, same = (answered(ForecastRequest, model, Y, steps=10)[0] for model in (TREND, regression))
    np.testing.assert_allclose(trend["mean"], same["mean"], rtol=1e-10)
    np.testing.assert_allclose(trend["variance"], same["variance"], rtol=1e-10)
    half = answered(FilterRequest, TREND, Y[:30], outputs=["state"])[0]["state"]
    rest = answered(FilterRequest, TREND, Y[30:], outputs=["filtered_state"], resume=[half])[0]
    whole = answered(SmoothRequest, TREND, Y, outputs=["filtered_state", "smoothed_state"])[0]
    np.testing.assert_allclose(rest["filtered_state"][-1], whole["filtered_state"][-1], rtol=1e-9)
    slopes = np.array(whole["smoothed_state"])[:, 2]
    np.testing.assert_allclose(slopes, whole["filtered_state"][-1][2], rtol=1e-9)
    assert slopes[0] == pytest.approx(0.3, abs=0.02)


def test_a_fit_answers_a_model_that_the_wire_takes_again() -> None:
    rows = [[each] for each in np.random.default_rng(1).normal(size=80).round(3).tolist()]
    model = {**TREND, "regression": {"regressors": rows}}
    body = {"observations": [Y], "free": ["ar", "var"], "starts": 1}
    for words in (TREND, model):
        work = parse_fit(LIMITS, orjson.dumps({"model": words, **body}))
        assert isinstance(work, KalmanWork)
        (answer,) = fit_jobs([replace(work.job, seconds=120.0)], TimeAllowed(time.monotonic()))
        assert isinstance(answer, bytes), answer
        fit = json.loads(answer)["results"][0]
        assert fit["converged"]
        assert "periods" not in fit["model"]
        assert fit["model"]["trend"] == [0, 1]
        assert read_model(fit["model"]).build().states == read_model(words).build().states
        assert abs(fit["model"]["ar"][0]) < 0.4, "what the trend leaves is white noise"


def test_draws_follow_the_trend_and_refuse_null_rows() -> None:
    work = parse_simulate(
        LIMITS,
        orjson.dumps({"model": TREND, "length": 100, "draws": 50, "seed": 1, "initial_state": [None, 2.0, 0.3]}),
    )
    assert isinstance(work, KalmanWork)
    (answer,) = compute([work.job])
    drawn = np.array(json.loads(answer)["results"][0]["observations"])
    np.testing.assert_allclose(drawn.mean(axis=0), 2 + 0.3 * np.arange(100), atol=1.0)
    body = {"model": GAP, "observations": [[1.0, 3.0, None, 7.0]], "seed": 1}
    with pytest.raises(Problem) as refusal:
        parse_simulate(LIMITS, orjson.dumps(body))
    assert refusal.value.extra["errors"][0]["pointer"] == "/model/regression/regressors/2"
    assert isinstance(parse_simulate(LIMITS, orjson.dumps({**body, "outputs": ["states"]})), KalmanWork)


def test_a_day_of_week_season_of_hourly_data_has_six_states_and_goes_on_in_the_forecast() -> None:
    days = np.array([3.0, 1.0, 0.0, -1.0, 0.0, -2.0, -1.0])
    hours = np.arange(24 * 7 * 4)
    y = (20 + days[(hours // 24) % 7] + np.random.default_rng(2).normal(size=len(hours)) * 0.1).round(3).tolist()
    model = {"kind": "structural", "obs_var": 0.01, "level": {}, "seasonal": {"period": 7, "duration": 24}}
    assert len(answered(FilterRequest, model, y, outputs=["filtered_state"])[0]["filtered_state"][0]) == 7
    ahead = answered(ForecastRequest, model, y, steps=48)[0]["mean"]
    np.testing.assert_allclose(ahead, 20 + np.repeat(days[:2], 24), atol=0.05)
    first = answered(FilterRequest, model, y[:30], outputs=["state"])[0]["state"]
    rest = answered(FilterRequest, model, y[30:], outputs=["filtered_state"], resume=[first])[0]["filtered_state"]
    whole = answered(FilterRequest, model, y, outputs=["filtered_state"])[0]["filtered_state"]
    np.testing.assert_allclose(rest[-1], whole[-1], rtol=1e-9)
    body = {"model": {**model, "seasonal": {"period": 7, "duration": 24, "var": 0.1}}, "observations": [y]}
    work = parse_fit(LIMITS, orjson.dumps({**body, "free": ["obs_var", "seasonal.var"], "starts": 1}))
    assert isinstance(work, KalmanWork)
    (answer,) = fit_jobs([replace(work.job, seconds=120.0)], TimeAllowed(time.monotonic()))
    assert isinstance(answer, bytes), answer
    estimates = json.loads(answer)["results"][0]["model"]
    assert estimates["obs_var"] == pytest.approx(0.01, rel=0.2)
    assert estimates["seasonal"]["var"] < 1e-2
