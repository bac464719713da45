"""What an answer holds of the outputs that are asked for, from a request's bytes to the answer's."""

from typing import Any

import numpy as np
import orjson
import pytest

from luna_serving.capabilities.kalman.compute import compute
from luna_serving.capabilities.kalman.jobs.output_sizes import DISTURBANCES, FILTERED, SMOOTHED
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import (
    FilterRequest,
    ForecastAnswer,
    ForecastRequest,
    SeriesAnswer,
    SeriesRequest,
    SmoothRequest,
)
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()
WIRE = Wire(SeriesLimits(max_series_length=1000, max_series_per_request=100, max_answer_numbers=100_000))
TREND = {"kind": "local_linear_trend", "obs_var": 1, "level_var": 0.5, "trend_var": 0.1}
PAIR = {
    "kind": "state_space",
    "transition": [[0.5, 0.1, 0], [0, 0.3, 0], [0, 0, 0.9]],
    "design": [[1, 0, 1], [0, 1, 0]],
    "obs_cov": [[1, 0.2], [0.2, 1]],
    "selection": [[1], [0.5], [1]],
    "state_cov": 1,
    "obs_intercept": [10, 20],
    "initial": {"kind": "stationary"},
}
# The year's sum of four quarters, all observed without noise.
ANNUAL = {
    "kind": "state_space",
    "transition": [[0.5, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
    "design": [[1, 0, 0, 0], [1, 1, 1, 1]],
    "obs_cov": [[0, 0], [0, 0]],
    "selection": [[1], [0], [0], [0]],
    "state_cov": 1,
    "initial": {"kind": "stationary"},
}


def answer(schema: type[SeriesRequest], model: object, *series: object, **more: object) -> Any:
    body = orjson.dumps({"model": model, "observations": series, **more})
    work = WIRE.parse_series(schema, body)
    assert isinstance(work, KalmanWork)
    (found,) = compute([work.job])
    assert isinstance(found, bytes), found
    return orjson.loads(found)


def shape(value: object) -> tuple[int, ...]:
    return np.shape(np.array(value, dtype=float))


@pytest.mark.parametrize(("model", "m", "n", "r"), [(TREND, 1, 2, 2), (PAIR, 2, 3, 1)])
def test_every_smoothed_output_has_its_shape_and_is_counted(model, m, n, r):
    y = [[1.0, 2.0], [None, 1.0], [None, None], [2.0, 3.0]]
    series = y if m > 1 else [row[0] for row in y]
    outputs = [*SMOOTHED, *FILTERED]
    result = answer(SmoothRequest, model, series, outputs=outputs)["results"][0]
    assert list(result) == outputs
    axis = (m,) if m > 1 else ()
    residuals = result["auxiliary_residuals"]
    assert {name: shape(each) for name, each in residuals.items()} == {"obs": (4, *axis), "state": (4, r)}
    for name in ("signal", "obs_disturbance"):
        assert shape(result[f"smoothed_{name}"]) == shape(result[f"smoothed_{name}_var"]) == (4, *axis)
    assert shape(result["filtered_signal"]) == shape(result["filtered_signal_var"]) == (4, *axis)
    assert shape(result["smoothed_state_disturbance"]) == (4, r)
    assert shape(result["smoothed_state_disturbance_var"]) == (4, r)
    body = orjson.dumps({"model": model, "observations": [series], "outputs": list(DISTURBANCES)})
    work = WIRE.parse_series(SmoothRequest, body)
    assert isinstance(work, KalmanWork)
    assert work.job.numbers == 4 * (2 * m + 2 * r + m + r)


def test_an_output_alone_is_what_it_is_among_all():
    series = [1.0, None, 2.0, 4.0, 3.0]
    (whole,) = answer(SmoothRequest, TREND, series, outputs=[*SMOOTHED, *FILTERED])["results"]
    for name in (*SMOOTHED, "filtered_signal", "filtered_signal_var"):
        (one,) = answer(SmoothRequest, TREND, series, outputs=[name])["results"]
        assert one == {name: whole[name]}, name


def test_a_signal_is_the_design_times_the_state():
    series = [[9.0, 21.0], [None, 19.0], [11.0, None]]
    outputs = ["filtered_state", "filtered_signal", "smoothed_state", "smoothed_signal"]
    (result,) = answer(SmoothRequest, PAIR, series, outputs=outputs)["results"]
    for given in ("filtered", "smoothed"):
        expected = np.array(result[f"{given}_state"]) @ np.array(PAIR["design"]).T + PAIR["obs_intercept"]
        np.testing.assert_allclose(result[f"{given}_signal"], expected, rtol=1e-12)


def test_an_observation_is_its_smoothed_signal_and_its_disturbance():
    series = [3.0, 5.0, None, 4.0]
    (result,) = answer(SmoothRequest, TREND, series, outputs=["smoothed_signal", "smoothed_obs_disturbance"])["results"]
    whole = np.add(result["smoothed_signal"], result["smoothed_obs_disturbance"])
    np.testing.assert_allclose(whole[[0, 1, 3]], [3.0, 5.0, 4.0], rtol=1e-12)
    assert result["smoothed_obs_disturbance"][2] == 0


@pytest.mark.parametrize(("model", "names"), [(TREND, ["level", "trend"]), (PAIR, ["state.0", "state.1", "state.2"])])
def test_answers_name_their_states(model, names):
    series = [1.0, 2.0] if model is TREND else [[1.0, 2.0]]
    for schema, more in ((FilterRequest, {}), (SmoothRequest, {}), (ForecastRequest, {"steps": 2})):
        found = answer(schema, model, series, **more)
        assert found["state_names"] == names
        assert list(found) == list((ForecastAnswer if schema is ForecastRequest else SeriesAnswer).model_fields)


def test_an_impossible_observation_is_null_in_the_likelihood_and_named_in_the_warnings():
    right = [[0.3, None], [0.1, None], [-0.7, None], [1.1, 0.8]]
    wrong = [*right[:3], [1.1, 0.9]]
    outputs = ["loglike", "loglike_obs", "standardized_forecast_error", "filtered_state"]
    found = answer(FilterRequest, ANNUAL, right, wrong, outputs=outputs)
    (warning,) = found["plan"]["warnings"]
    assert "/observations/1/3/1." in warning
    one, other = found["results"]
    assert other["loglike"] is None
    assert [each is None for each in other["loglike_obs"]] == [False, False, False, True]
    assert one["standardized_forecast_error"] == other["standardized_forecast_error"]
    assert one["standardized_forecast_error"][3][1] is None
    assert one["filtered_state"] == other["filtered_state"]
    assert isinstance(one["loglike"], float)


def test_means_alone_are_warned_of_too():
    wrong = [[0.3, None], [0.1, None], [-0.7, None], [1.1, 0.9]]
    (warning,) = answer(FilterRequest, ANNUAL, wrong, outputs=["filtered_state"])["plan"]["warnings"]
    assert warning.startswith("1 observation contradicts")


def test_filtering_takes_no_output_of_the_smoother():
    assert not {*SMOOTHED} & {*FILTERED}
    assert {*DISTURBANCES} < {*SMOOTHED}
