"""Where a likelihood has no maximum, and where it has one far below the spread of the series."""

import mpmath as mp
import numpy as np
import pytest

from luna_serving.engines.statespace.fit.estimate import fit_batch
from luna_serving.engines.statespace.fit.results import SeriesFit
from luna_serving.engines.statespace.fit.stop import Stop
from luna_serving.engines.statespace.model.initial import Known

from .cases import Case

TREND = {"obs_var": 1.0, "level_var": 0.1, "trend_var": 0.1}
PERIODS = np.arange(1.0, 61.0)


def fitted(kind: str, fields: dict, free: tuple[str, ...], y: np.ndarray) -> SeriesFit:
    case = Case(kind, fields, free, y[:, None])
    (fit,) = fit_batch(case.task(), [case.y], lambda: False)
    return fit


def least_squares_variance(x: np.ndarray, y: np.ndarray) -> float:
    """The restricted maximum of white noise about a regression: the residual's squares by N - k, with 60 digits."""
    with mp.workdps(60):
        design, series = mp.matrix(x.tolist()), mp.matrix(y.tolist())
        coefficients = mp.lu_solve(design.T * design, design.T * series)
        left = series - design * coefficients
        return float((left.T * left)[0] / (len(y) - x.shape[1]))


def test_a_regression_with_noise_of_a_millionth_of_the_steps_has_its_maximum() -> None:
    """robjhyndman/forecast#27 and pmdarima#572 with one digit of noise; the value is exact."""
    regressor = np.tile(np.arange(1.0, 7.0), 6)
    y = regressor.copy()
    y[0] = 1.00001
    fields = {"obs_var": 1.0, "regression": {"regressors": regressor[:, None].tolist()}}
    fit = fitted("structural", fields, ("obs_var",), y)
    assert fit.converged
    assert fit.estimates["obs_var"] == pytest.approx(2.8519099948045045e-12, rel=1e-8)


@pytest.mark.parametrize("constant", ["a regressor", "a level"])
def test_a_regression_on_large_numbers_has_its_maximum(constant: str) -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([1e6 * (1 + 0.1 * rng.normal(size=200)), np.ones(200)])
    y = x @ [2.0, 5.0] + rng.normal(size=200)
    level = {"level": {}} if constant == "a level" else {}
    regressors = x[:, :1] if level else x
    fields = {"obs_var": 1.0, **level, "regression": {"regressors": regressors.tolist()}}
    fit = fitted("structural", fields, ("obs_var",), y)
    assert fit.converged
    # The level is not measured in the regressor's unit, and the filter keeps fewer digits.
    assert fit.estimates["obs_var"] == pytest.approx(least_squares_variance(x, y), rel=1e-6 if level else 1e-8)


@pytest.mark.parametrize("noise", [1e-2, 1e-5, 1e-8])
def test_waves_and_trends_leave_their_noise_to_be_estimated(noise: float) -> None:
    errors = noise * np.random.default_rng(1).normal(size=60)
    waves = {"obs_var": 1.0, "level": {"var": 0.1}, "freq_seasonal": [{"period": 12, "harmonics": 2}]}
    seen = 3 + 10 * np.cos(2 * np.pi * PERIODS / 12) + errors
    for kind, fields, free, y in (
        ("structural", waves, ("obs_var", "level.var"), seen),
        ("local_linear_trend", TREND, ("obs_var", "level_var", "trend_var"), PERIODS + errors),
    ):
        fit = fitted(kind, fields, free, y)
        assert fit.estimates["obs_var"] == pytest.approx(noise**2, rel=0.5)


REGRESSOR = np.random.default_rng(2).normal(size=(60, 1))
EXACT = {
    "1:10 on a trend": ("local_linear_trend", TREND, ("obs_var", "level_var", "trend_var"), np.arange(1.0, 11.0)),
    "a constant": ("local_level", {"obs_var": 1.0, "level_var": 1.0}, ("obs_var", "level_var"), np.full(30, 3.7)),
    "zeros": ("local_level", {"obs_var": 1.0, "level_var": 1.0}, ("obs_var", "level_var"), np.zeros(30)),
    "a regressor": (
        "structural",
        {"obs_var": 1.0, "level": {"var": 0.1}, "regression": {"regressors": REGRESSOR.tolist()}},
        ("obs_var", "level.var"),
        REGRESSOR[:, 0],
    ),
    "a wave": (
        "structural",
        {"obs_var": 1.0, "level": {"var": 0.1}, "freq_seasonal": [{"period": 12.5, "harmonics": 1}]},
        ("obs_var", "level.var"),
        3 + np.cos(2 * np.pi * PERIODS / 12.5),
    ),
    "steps of a drift": ("arima", {"order": [0, 1, 0], "var": 1.0}, ("intercept", "var"), PERIODS),
    "differences of zero": ("arima", {"order": [0, 2, 1], "ma": [0.1], "var": 1.0}, ("ma", "var"), PERIODS),
}


@pytest.mark.parametrize("case", EXACT.values(), ids=EXACT)
def test_a_series_that_the_model_explains_exactly_has_no_maximum(case: tuple) -> None:
    fit = fitted(*case)
    assert fit.why_stopped == Stop.NO_MAXIMUM
    assert set(fit.estimates.values()) == {None}


def test_a_series_that_is_exact_but_for_noise_that_is_not_estimated_has_a_maximum() -> None:
    fit = fitted("local_level", {"obs_var": 1.0, "level_var": 1.0}, ("level_var",), np.full(30, 3.0))
    assert fit.converged
    assert fit.estimates == {"level_var": 0.0}


def test_as_many_observations_as_a_known_start_explains_are_no_exact_series() -> None:
    """Nothing grows without bound there: with all variances zero the start alone gives them a finite density."""
    start = Known([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], "predicted")
    fields = {"dt": 1.0, "obs_var": 1.0, "accel_var": 1.0}
    case = Case("constant_velocity", fields, ("obs_var", "accel_var"), np.array([[1.0], [2.5]]), start)
    (fit,) = fit_batch(case.task(), [case.y], lambda: False)
    assert fit.loglike is not None
