"""ARIMA against statsmodels' SARIMAX and Stata, and by what its impulse responses must be."""

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX
from statsmodels.tsa.statespace.tests.results.results_sarimax import air2_data, air2_stationary, wpi1_ar3

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import arima, local_level
from luna_serving.engines.statespace.kinds.lag_polynomials import product
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Diffuse

SERIES = np.random.default_rng(0).normal(size=60).cumsum()
ORDERS = [
    ([1, 0, 0], [0, 0, 0, 0]),
    ([0, 0, 0], [0, 0, 0, 0]),
    ([2, 1, 1], [0, 0, 0, 0]),
    ([0, 1, 0], [0, 0, 0, 0]),
    ([0, 1, 1], [0, 1, 1, 12]),
    ([1, 2, 2], [1, 2, 1, 4]),
    ([0, 0, 3], [2, 0, 0, 3]),
    ([2, 0, 1], [1, 1, 0, 5]),
]


def fields_of(order, seasonal_order):
    draw = np.random.default_rng(1)
    counts = {"ar": order[0], "ma": order[2], "seasonal_ar": seasonal_order[0], "seasonal_ma": seasonal_order[2]}
    lags = {name: draw.uniform(-0.3, 0.3, count) for name, count in counts.items()}
    return {"order": order, "seasonal_order": seasonal_order, "intercept": 0.3, "obs_var": 0.4, "var": 0.7, **lags}


def peer_of(fields, y=SERIES):
    peer = SARIMAX(
        y,
        order=fields["order"],
        seasonal_order=fields["seasonal_order"],
        trend="c",
        measurement_error=True,
        use_exact_diffuse=True,
    )
    names = ("intercept", "ar", "ma", "seasonal_ar", "seasonal_ma", "obs_var", "var")
    return peer, np.concatenate([np.atleast_1d(fields[name]) for name in names])


@pytest.mark.parametrize(("order", "seasonal_order"), ORDERS)
def test_the_matrices_are_those_of_sarimax(order, seasonal_order):
    fields = fields_of(order, seasonal_order)
    model = arima(**fields)
    peer, parameters = peer_of(fields)
    peer.update(parameters)
    for name in ("transition", "design", "selection", "obs_cov", "state_cov"):
        np.testing.assert_allclose(getattr(model, name), peer.ssm[name], atol=1e-15, err_msg=name)
    np.testing.assert_array_equal(model.state_intercept, peer.ssm["state_intercept"][:, 0])
    assert len(model.state_names) == model.states


@pytest.mark.parametrize(("order", "seasonal_order"), [ORDERS[i] for i in (0, 1, 3)])
def test_the_default_start_has_sarimaxs_exact_diffuse_likelihood(order, seasonal_order):
    fields = fields_of(order, seasonal_order)
    peer, parameters = peer_of(fields)
    result = filter_batch([(SERIES, arima(**fields))], "full").series[0]
    assert result.full.loglike == pytest.approx(peer.smooth(parameters).llf, rel=1e-9)


def test_the_airline_likelihood_is_statas():
    """Stata differenced the logarithms; the exact diffuse start says the same of the levels."""
    model = arima(
        order=[0, 1, 1],
        seasonal_order=[0, 1, 1, 12],
        ma=air2_stationary["params_ma"],
        seasonal_ma=air2_stationary["params_seasonal_ma"],
        var=air2_stationary["params_variance"][0],
    )
    y = np.log(air2_data)
    result = filter_batch([(y, model)], "full", loglike="kfas").series[0]
    parameters = [model.selection[14, 0], model.selection[25, 0], model.state_cov[0, 0]]
    differenced = SARIMAX(np.diff(y[12:] - y[:-12]), order=(0, 0, 1), seasonal_order=(0, 0, 1, 12))
    assert result.full.loglike == pytest.approx(differenced.loglike(parameters), rel=1e-10)
    # Stata printed the variance with six digits; statsmodels is tested to four decimals here as well.
    assert result.full.loglike == pytest.approx(air2_stationary["loglike"], abs=5e-5)
    assert result.full.nobs_diffuse == 13


def test_wholesale_prices_in_levels_have_the_likelihood_of_their_differences():
    shipped = wpi1_ar3
    model = arima(order=[3, 1, 0], ar=shipped["params_ar"], var=shipped["params_variance"][0])
    y = np.array(shipped["data"])
    result = filter_batch([(y, model)], "full", loglike="kfas").series[0]
    peer = SARIMAX(np.diff(y), order=(3, 0, 0)).loglike([*shipped["params_ar"], shipped["params_variance"][0]])
    assert result.full.loglike == pytest.approx(peer, rel=1e-9)


@pytest.mark.parametrize(("d", "seasonal_d", "s"), [(1, 0, 0), (3, 0, 0), (0, 1, 4), (0, 3, 2), (2, 3, 3)])
def test_one_shock_moves_the_level_as_the_polynomials_say(d, seasonal_d, s):
    """psi(L) = ma(L) / (ar(L) (1 - L)^d (1 - L^s)^D); SARIMAX itself differs from D = 3 on."""
    model = arima(order=[1, d, 1], seasonal_order=[0, seasonal_d, 0, s], ar=[0.5], ma=[0.3], var=1.0)
    state, seen = model.selection[:, 0], []
    for _ in range(25):
        seen.append(float((model.design @ state)[0]))
        state = model.transition @ state
    denominator = np.array([1.0, -0.5])
    for lag in [1] * d + [s] * seasonal_d:
        denominator = np.convolve(denominator, np.eye(1, lag + 1)[0] - np.eye(1, lag + 1, lag)[0])
    psi = np.zeros(25)
    for t in range(25):
        past = sum(denominator[k] * psi[t - k] for k in range(1, min(t, len(denominator) - 1) + 1))
        psi[t] = {0: 1.0, 1: 0.3}.get(t, 0.0) - past
    np.testing.assert_allclose(seen, psi, rtol=1e-12)


def test_an_integrated_moving_average_is_a_local_level():
    """Var Δy = level + 2 obs and Cov Δy = -obs are var (1 + ma²) and var ma (Harvey 1989, section 2.5.3)."""
    obs, level = 2.0, 0.5
    ratio = level / obs
    ma = (np.sqrt(ratio**2 + 4 * ratio) - 2 - ratio) / 2
    walk = filter_batch([(SERIES, local_level(obs_var=obs, level_var=level))], "full", loglike="kfas").series[0]
    reduced = arima(order=[0, 1, 1], ma=[ma], var=-obs / ma)
    assert filter_batch([(SERIES, reduced)], "full", loglike="kfas").series[0].full.loglike == pytest.approx(
        walk.full.loglike, rel=1e-9
    )


def test_an_intercept_is_the_drift_of_what_is_differenced_once():
    model = arima(order=[0, 1, 0], intercept=0.5, var=1.0)
    state = model.start.mean
    for _ in range(10):
        state = model.transition @ state + model.state_intercept
    assert (model.design @ state)[0] == pytest.approx(5.5)


def test_a_start_of_ones_own_needs_no_stationarity():
    model = arima(order=[1, 0, 0], ar=[1.0], var=1.0, initial=Diffuse())
    assert model.start.rank == 1


def test_factors_multiply_into_lags():
    ar = product(np.array([0.5]), np.array([0.2]), 4, -1.0)
    np.testing.assert_allclose(ar, [0.5, 0, 0, 0.2, -0.1])
    ma = product(np.array([0.5]), np.array([0.2]), 4, 1.0)
    np.testing.assert_allclose(ma, [0.5, 0, 0, 0.2, 0.1])


AIRLINE = {"order": [0, 1, 1], "seasonal_order": [0, 1, 1, 12], "ma": [-0.4], "seasonal_ma": [-0.6], "var": 1.0}


@pytest.mark.parametrize(
    ("changes", "pointer", "cure"),
    [
        ({"order": [0, 1]}, "/order", "3 whole numbers"),
        ({"order": [0, -1, 1]}, "/order/1", "whole number"),
        ({"order": [0, 0.5, 1]}, "/order/1", "whole number"),
        ({"order": [10**9, 0, 0]}, "/order/0", "from 0 to 64"),
        ({"seasonal_order": [0, 1, 1]}, "/seasonal_order", "4 whole numbers"),
        ({"seasonal_order": [0, 1, 1, 1]}, "/seasonal_order/3", "at least 2"),
        ({"seasonal_order": [0, 1, 1, 52]}, "/seasonal_order", "at most 64"),
        ({"order": [0, 64, 1], "seasonal_order": [0, 0, 0, 0], "seasonal_ma": []}, "/order", "at most 64"),
        ({"ma": []}, "/ma", "as order[2] says"),
        ({"ma": [0.1, 0.2]}, "/ma", "must hold 1"),
        ({"ma": [float("nan")]}, "/ma/0", "finite"),
        ({"seasonal_ma": []}, "/seasonal_ma", "as seasonal_order[2] says"),
        ({"ar": [0.1]}, "/ar", "must hold 0"),
        ({"seasonal_ar": [0.1]}, "/seasonal_ar", "must hold 0"),
        ({"order": [1, 1, 1], "ar": [1.0]}, "/ar", "difference the series"),
        ({"order": [2, 1, 1], "ar": [0.5, 0.5]}, "/ar", '"diffuse"'),
        ({"seasonal_order": [1, 1, 1, 12], "seasonal_ar": [-1.5]}, "/seasonal_ar", "not stationary"),
        ({"intercept": float("inf")}, "/intercept", "finite"),
        ({"var": -1.0}, "/var", "negative"),
        ({"var": 0.0}, "/var", "above zero"),
        ({"obs_var": -1.0}, "/obs_var", "negative"),
    ],
)
def test_a_wrong_field_is_pointed_to_with_its_cure(changes, pointer, cure):
    with pytest.raises(ModelError) as caught:
        arima(**AIRLINE | changes)
    assert caught.value.pointer == pointer
    assert cure in caught.value.message
