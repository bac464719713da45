"""A replica's work on streams: however the points are cut into messages, the answers are those of one pass."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from luna_serving.capabilities.kalman.streams.compute import LAGGED_AT_ONCE, append
from luna_serving.capabilities.kalman.streams.job import FILTERED_NOW, SMOOTHED_BACK, Appended, AppendJob, StreamState
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.batch import filter_batch, smooth_batch
from luna_serving.engines.statespace.kinds import local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import Known
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()

LEVEL = local_level(obs_var=2.0, level_var=0.5)
TREND = local_linear_trend(obs_var=1.0, level_var=0.3, trend_var=0.1)
KNOWN = local_level(obs_var=2.0, level_var=0.5, initial=Known([1.0], [[2.0]]))
PAIR = Model(
    transition=np.array([[1.0, 0.4], [0.0, 0.9]]),
    design=np.array([[1.0, 0.0], [0.5, 1.0]]),
    obs_cov=np.array([[1.0, 0.3], [0.3, 2.0]]),
    state_cov=np.diag([0.2, 0.1]),
)
VARYING = Model(
    transition=np.linspace(0.5, 1.2, 90).reshape(90, 1, 1),
    design=np.ones((1, 1)),
    obs_cov=np.ones((1, 1)),
    state_cov=np.ones((1, 1)),
)
MODELS = {"level": LEVEL, "trend": TREND, "known": KNOWN, "pair": PAIR, "varying": VARYING}


@dataclass(frozen=True)
class Built:
    """What a ModelSpec is to a replica."""

    model: Model

    def build(self) -> Model:
        return self.model


def job(model: Model, values: Any, state: str | None = None, **options: Any) -> AppendJob:
    defaults = {"outputs": (*FILTERED_NOW, *SMOOTHED_BACK), "threshold": 4.0, "lag": 0}
    return AppendJob(Built(model), state, np.asarray(values, dtype=np.float64), **(defaults | options))


def series(model: Model, length: int = 80, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(length, model.observed)).cumsum(axis=0)
    y[rng.random(y.shape) < 0.15] = np.nan
    y[1] = np.nan  # prolongs the diffuse start
    return y[:, 0] if model.observed == 1 else y


def streamed(model: Model, y: np.ndarray, cuts: Iterable[int], **options: Any) -> list[dict[str, Any]]:
    """The answers to all points, in messages that end at the cuts."""
    state, points = None, []
    for part in np.split(y, list(cuts)):
        (appended,) = append([job(model, part, state, **options)])
        assert isinstance(appended, Appended)
        state, points = appended.state, points + json.loads(appended.points)
    return points


def numbers(value: Any) -> Any:
    return np.array(value, dtype=np.float64)


@pytest.mark.parametrize("kind", MODELS)
def test_the_answers_are_those_of_one_pass_to_the_last_digit(kind: str) -> None:
    model = MODELS[kind]
    y = series(model)
    points = streamed(model, y, [1, 2, 3, 20, 21, 64], outputs=FILTERED_NOW)
    (whole,) = filter_batch([(y, model)], "full").series
    for name in ("standardized_forecast_error", "loglike_obs"):
        np.testing.assert_array_equal(numbers([p[name] for p in points]), getattr(whole.full, name), err_msg=name)
    answered = 0
    for name in ("filtered_state", "filtered_state_cov", "forecasts", "forecast_error", "forecast_error_cov"):
        values = whole.filtered_state if name == "filtered_state" else getattr(whole.full, name)
        for point, value in zip(points, values, strict=True):
            got = numbers(point[name])
            if not np.isnan(got).all():
                np.testing.assert_array_equal(got, value, err_msg=name)
                answered += 1
    assert answered > 5 * 60


def test_what_a_diffuse_start_leaves_open_is_null() -> None:
    points = streamed(TREND, np.array([5.0, np.nan, 7.0, 8.0]), [2], outputs=FILTERED_NOW)
    assert [p["filtered_state"] for p in points[:2]] == [[None, None]] * 2
    assert points[2]["filtered_state"] == pytest.approx([7.0, 1.0])
    assert [p["forecasts"] for p in points[:3]] == [None, None, None]
    assert points[3]["forecasts"] == pytest.approx(8.0)
    assert [p["standardized_forecast_error"] for p in points[:3]] == [None, None, None]
    assert [p["outlier"] for p in points] == [None, None, None, False]
    assert "NaN" not in json.dumps(points)


def test_a_spike_is_flagged_and_its_neighbours_are_not() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=60)
    y[40] += 30.0
    points = streamed(local_level(obs_var=1.0, level_var=1e-4), y, [30, 41])
    assert [t for t, p in enumerate(points) if p["outlier"]] == [40]
    assert points[40]["standardized_forecast_error"] > 10
    lenient = streamed(local_level(obs_var=1.0, level_var=1e-4), y, [30, 41], threshold=100.0)
    assert not any(p["outlier"] for p in lenient)


def test_of_two_observed_elements_the_wild_one_is_flagged() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=(40, 2))
    y[30, 1] += 40.0
    y[31, 0] = np.nan
    points = streamed(PAIR, y, [10])
    assert points[30]["outlier"] == [False, True]
    assert points[31]["outlier"][0] is None


@pytest.mark.parametrize(("kind", "lag"), [("level", 1), *((kind, 4) for kind in MODELS)])
def test_the_lagged_state_is_that_of_a_smoother_over_all_points_so_far(kind: str, lag: int) -> None:
    model = MODELS[kind]
    y = series(model, 70)
    points = streamed(model, y, [1, 2, 3, 5, 5 + LAGGED_AT_ONCE + 7], lag=lag, outputs=SMOOTHED_BACK)
    assert [p["smoothed_state"] for p in points[:lag]] == [None] * lag
    wholes = smooth_batch([(y[: t + 1], model) for t in range(lag, 70)]).series
    for point, whole in zip(points[lag:], wholes, strict=True):
        assert whole.smoothed is not None
        at = -1 - lag
        unknown = whole.smoothed.smoothed_state_diffuse[at]
        expected = np.where(unknown, np.nan, whole.smoothed.smoothed_state[at])
        np.testing.assert_allclose(numbers(point["smoothed_state"]), expected, rtol=1e-9, atol=1e-9)
        expected = np.where(unknown[:, None] | unknown, np.nan, whole.smoothed.smoothed_state_cov[at])
        np.testing.assert_allclose(numbers(point["smoothed_state_cov"]), expected, rtol=1e-8, atol=1e-9)


def test_streams_of_a_batch_do_not_touch_each_other_and_an_overflow_is_refused() -> None:
    y = series(LEVEL, 50)
    jobs = [
        job(LEVEL, y, lag=3),
        job(TREND, y),
        job(LEVEL, [1e308, -1e308, 1e308]),
        job(PAIR, series(PAIR, 40), lag=2),
        job(LEVEL, y[:1]),
    ]
    together = append(jobs)
    assert isinstance(together[2], Refused)
    assert together[2].pointer == "/values"
    for each, answer in zip(jobs, together, strict=True):
        if isinstance(answer, Appended):
            assert append([each]) == [answer]


@pytest.mark.parametrize("kind", MODELS)
def test_a_state_reads_back_to_the_last_bit(kind: str) -> None:
    model = MODELS[kind]
    (appended,) = append([job(model, series(model)[:5], lag=3)])
    assert isinstance(appended, Appended)
    state = StreamState.from_json(appended.state)
    assert state.to_json() == appended.state
    assert state.saved is not None
    assert state.window is not None
    assert state.saved.period == 5
    assert state.window.shape == ((3,) if model.observed == 1 else (3, model.observed))
    assert StreamState.from_json(None).saved is None
