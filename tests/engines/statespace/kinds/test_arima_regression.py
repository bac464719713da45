"""Regression and trends with ARIMA errors: against statsmodels, and against generalised least squares in 60 digits."""

import mpmath as mp
import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from luna_serving.engines.statespace.batch import filter_batch, forecast_batch, smooth_batch
from luna_serving.engines.statespace.kinds import arima, structural
from luna_serving.engines.statespace.kinds.estimable import estimable
from luna_serving.engines.statespace.kinds.parameters import free_parameters
from luna_serving.engines.statespace.model.checks import ModelError

T, STEPS = 60, 5
DRAW = np.random.default_rng(0)
X = np.column_stack([DRAW.normal(size=T + STEPS), DRAW.normal(size=T + STEPS).cumsum()])
Y = 3 * X[:T, 0] - X[:T, 1] + DRAW.normal(size=T).cumsum() + 0.1 * np.arange(T)
Y[7] = np.nan
CASES = [
    ([1, 0, 1], [0, 0, 0, 0]),
    ([1, 1, 1], [0, 0, 0, 0]),
    ([1, 0, 0], [1, 0, 1, 4]),
    ([0, 1, 1], [0, 1, 1, 4]),
]


def fields_of(order, seasonal_order):
    counts = {"ar": order[0], "ma": order[2], "seasonal_ar": seasonal_order[0], "seasonal_ma": seasonal_order[2]}
    values = {"ar": 0.5, "ma": 0.3, "seasonal_ar": 0.2, "seasonal_ma": -0.4}
    lags = {name: [values[name]] * count for name, count in counts.items()}
    return {"order": order, "seasonal_order": seasonal_order, "var": 0.7, **lags}


def filtered(model, y=Y):
    return filter_batch([(y, model)], "full").series[0]


@pytest.mark.parametrize(("order", "seasonal_order"), CASES)
def test_a_regression_is_sarimaxs_with_its_coefficients_as_states(order, seasonal_order):
    fields = fields_of(order, seasonal_order)
    model = arima(**fields, regression={"regressors": X.tolist()})
    peer = SARIMAX(
        Y,
        exog=X[:T],
        order=order,
        seasonal_order=seasonal_order,
        mle_regression=False,
        use_exact_diffuse=True,
    )
    result = peer.smooth([*(v for name in ("ar", "ma", "seasonal_ar", "seasonal_ma") for v in fields[name]), 0.7])
    ours = filtered(model)
    assert ours.full.loglike == pytest.approx(result.llf, rel=1e-10)
    assert model.state_names[-2:] == ("beta.x1", "beta.x2")
    np.testing.assert_allclose(ours.filtered_state[-1, -2:], result.filtered_state[-2:, -1], rtol=1e-9)
    theirs = result.get_forecast(STEPS, exog=X[T:])
    ahead = forecast_batch([(Y, model)], [STEPS]).series[0]
    np.testing.assert_allclose(ahead.mean.ravel(), theirs.predicted_mean, rtol=1e-9)
    np.testing.assert_allclose(ahead.variance.ravel(), theirs.var_pred_mean, rtol=1e-9)


def arma_autocovariance(phi, theta, lag):
    """Of an ARMA(1, 1) with var 1 (Brockwell & Davis 1991, example 3.3.5)."""
    first = (1 + 2 * phi * theta + theta**2) / (1 - phi**2)
    return first if lag == 0 else (1 + phi * theta) * (phi + theta) / (1 - phi**2) * phi ** (lag - 1)


def least_squares(y, design, phi, theta):
    """GLS of y on design with ARMA(1, 1) errors: coefficients, their covariance, restricted log-likelihood."""
    kept = [t for t in range(len(y)) if not np.isnan(y[t])]
    with mp.workdps(60):
        phi, theta = mp.mpf(phi), mp.mpf(theta)
        cov = mp.matrix(len(kept), len(kept))
        for i, s in enumerate(kept):
            for j, t in enumerate(kept):
                cov[i, j] = arma_autocovariance(phi, theta, abs(s - t))
        x, seen = mp.matrix([list(map(mp.mpf, design[t])) for t in kept]), mp.matrix([mp.mpf(y[t]) for t in kept])
        precision = mp.inverse(cov)
        information = x.T * precision * x
        beta = mp.lu_solve(information, x.T * precision * seen)
        left = seen - x * beta
        loglike = (
            -(
                len(kept) * mp.log(2 * mp.pi)
                + mp.log(mp.det(cov))
                + mp.log(mp.det(information))
                + (left.T * precision * left)[0]
            )
            / 2
        )
        return [float(b) for b in beta], np.array(mp.inverse(information).tolist(), dtype=float), float(loglike)


@pytest.mark.parametrize("powers", [[0], [1], [0, 1], [0, 2], [0, 1, 2], [1, 3]])
def test_a_trend_is_generalised_least_squares_on_powers_of_time(powers):
    model = arima(order=[1, 0, 1], ar=[0.5], ma=[0.3], var=1.0, trend=powers, periods=T)
    y = Y
    design = [[float(t) ** power for power in powers] for t in range(len(y))]
    beta, cov, loglike = least_squares(y, design, 0.5, 0.3)
    result = smooth_batch([(y, model)]).series[0]
    places = [model.state_names.index(f"trend.{power}") for power in powers]
    deviations = np.sqrt(np.diagonal(cov))
    for t in (0, 20, T - 1):
        np.testing.assert_allclose((result.smoothed.smoothed_state[t, places] - beta) / deviations, 0, atol=1e-9)
        smoothed_cov = result.smoothed.smoothed_state_cov[t][np.ix_(places, places)]
        np.testing.assert_allclose((smoothed_cov - cov) / deviations / deviations[:, None], 0, atol=1e-9)
    assert filtered(model, y).full.loglike == pytest.approx(loglike, rel=1e-9)


@pytest.mark.parametrize(("order", "seasonal_order"), CASES)
def test_a_trend_is_the_regression_on_powers_of_time(order, seasonal_order):
    fields = fields_of(order, seasonal_order)
    powers = [power for power in (0, 1, 2) if power >= order[1] + seasonal_order[1]]
    rows = [[float(t) ** power for power in powers] for t in range(T + STEPS)]
    trend, regression = (
        arima(**fields, trend=powers, periods=T + STEPS),
        arima(**fields, regression={"regressors": rows}),
    )
    assert filtered(trend).full.loglike == pytest.approx(filtered(regression).full.loglike, rel=1e-9)
    ahead = forecast_batch([(Y, trend), (Y, regression)], [STEPS, STEPS]).series
    np.testing.assert_allclose(ahead[0].mean, ahead[1].mean, rtol=1e-9)
    np.testing.assert_allclose(ahead[0].variance, ahead[1].variance, rtol=1e-9)


def test_a_slope_is_the_drift_of_what_is_differenced_once():
    """R's `Arima(include.drift=TRUE)` is a regression on time: its coefficient is an intercept of the differences."""
    fields = {"order": [0, 1, 1], "ma": [0.3], "var": 1.0}
    trend = arima(**fields, trend=[1], periods=T)
    assert trend.state_names == ("diff.0", "arma.0", "arma.1", "trend.1")
    slope = filtered(trend).filtered_state[-1, 3]
    rises = [filtered(arima(**fields, intercept=slope + off)).full.loglike for off in (-0.01, 0.0, 0.01)]
    assert max(rises) == rises[1], "the slope maximises the likelihood of the drift"


def test_a_long_series_does_not_wear_a_trend_out():
    """t² of 20,000 periods is 4e8."""
    time = np.arange(20_000.0)
    y = 5 + 0.1 * time - 1e-5 * time**2 + np.random.default_rng(1).normal(size=len(time))
    model = arima(order=[0, 0, 0], var=1.0, trend=[0, 1, 2], periods=len(time) + 10)
    scaled = np.polynomial.Polynomial.fit(time, y, 2)
    ahead = forecast_batch([(y, model)], [10]).series[0]
    np.testing.assert_allclose(ahead.mean.ravel(), scaled(len(time) + np.arange(10.0)), rtol=1e-10)


def test_coefficients_may_walk_and_their_variances_are_estimable():
    fields = {"order": [1, 0, 0], "ar": [0.5], "var": 1.0, "regression": {"regressors": X.tolist(), "var": [0.1, 0.0]}}
    model = arima(**fields)
    np.testing.assert_array_equal(model.state_cov, np.diag([1.0, 0.1, 0.0]))
    names = estimable("arima", fields)["regression.var"].names
    assert names == ("regression.var.0", "regression.var.1")
    start = free_parameters("arima", fields, ["ar", "var", "regression.var"]).start([Y])
    assert np.isfinite(start).all()
    assert "regression.var" not in estimable("arima", {"order": [1, 0, 0], "ar": [0.5], "var": 1.0})


def test_an_estimation_starts_from_what_the_regressors_leave():
    y = 1e6 * X[:T, 0] + np.random.default_rng(2).normal(size=T)
    fields = {"order": [0, 0, 0], "var": 1.0, "trend": [1], "regression": {"regressors": X.tolist()}}
    parameters = free_parameters("arima", fields, ["var"])
    assert parameters.values(parameters.start([y]))[0] == pytest.approx(1.0, rel=0.5)


GAP = {"regressors": [[1.0, 2.0], [2.0, 1.0], None, [3.0, None], [4.0, 4.0], [5.0, 1.0]]}


@pytest.mark.parametrize(
    "build",
    [
        lambda regression: arima(order=[1, 0, 0], ar=[0.5], var=1.0, regression=regression),
        lambda regression: structural(obs_var=1.0, level={}, regression=regression),
    ],
)
def test_null_rows_change_nothing_where_nothing_is_observed(build):
    y = np.array([1.0, 2.0, np.nan, np.nan, 3.0, 5.0])
    filled = {"regressors": [[7.0, 7.0] if row is None or None in row else row for row in GAP["regressors"]]}
    model = build(GAP)
    assert model.unknown_periods == (2, 3)
    null, other = filtered(model, y), filtered(build(filled), y)
    assert null.full.loglike == other.full.loglike
    np.testing.assert_array_equal(null.filtered_state, other.filtered_state)
    np.testing.assert_array_equal(np.isnan(null.filtered_signal), [False, False, True, True, False, False])
    np.testing.assert_array_equal(null.unknown_periods, [False, False, True, True, False, False])


@pytest.mark.parametrize(
    ("changes", "pointer", "cure"),
    [
        ({"trend": [0.5]}, "/trend/0", "whole number"),
        ({"trend": [0, 6]}, "/trend/1", "from 0 to 5"),
        ({"trend": [0, -1]}, "/trend/1", "from 0 to 5"),
        ({"trend": [1, 1]}, "/trend/1", "repeats"),
        ({"order": [1, 1, 0], "trend": [1, 0]}, "/trend/1", "at least 1"),
        ({"seasonal_order": [0, 1, 0, 4], "order": [1, 1, 0], "trend": [1]}, "/trend/0", "at least 2"),
        ({"regression": {"regressors": [[1.0], [1.0, 2.0]]}}, "/regression/regressors", "same length"),
        ({"regression": {"regressors": [None, None]}}, "/regression/regressors", "known row"),
        ({"regression": {"regressors": [[1e200]]}}, "/regression/regressors", "larger unit"),
        ({"regression": {"regressors": [[1.0]], "var": -1}}, "/regression/var", "negative"),
        ({"regression": {"regressors": [[1.0] * 70]}}, "/regression/regressors", "at most 64"),
        ({"regression": {"regressors": [[1.0] * 63]}, "trend": [1]}, "/regression/regressors", "at most 64"),
        ({"order": [62, 0, 0], "ar": [0.0] * 62, "trend": [0, 1, 2]}, "/trend", "at most 64"),
        ({"trend": [1], "periods": 3_000_000}, "/trend", "at most 2000000"),
        ({"seasonal_order": [0, 1, 1, 365], "seasonal_ma": [0.1]}, "/seasonal_order", "few harmonics"),
        ({"seasonal_order": [0, 1, 1, 10**7], "seasonal_ma": [0.1]}, "/seasonal_order/3", "whole number"),
    ],
)
def test_a_wrong_field_is_pointed_to_with_its_cure(changes, pointer, cure):
    with pytest.raises(ModelError) as caught:
        arima(**{"order": [1, 0, 0], "ar": [0.5], "var": 1.0} | changes)
    assert caught.value.pointer == pointer
    assert cure in caught.value.message
