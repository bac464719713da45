"""Clark's models of GDP (1987) and of GDP and unemployment (1989) against GAUSS, FKF and KFAS, and gaps at the end.

Files, parameters and tolerances: statsmodels' test_kalman.py and test_representation.py. Kim & Nelson's GAUSS programs
start one transition earlier than Durbin & Koopman. For Clark's models statsmodels and FKF carry that start over
without the first shock, which our timing "filtered" adds: the start is given as predicted, T 100 T'. Data and states
are printed with seven digits, parameters with four: statsmodels takes four decimals of states, five and two of the
log-likelihoods.
"""

import numpy as np
import pytest
from statsmodels.tsa.statespace.tests.results.results_kalman_filter import tvp, uc_bi, uc_uni

from luna_serving.engines.statespace.batch import forecast_batch
from luna_serving.engines.statespace.model.initial import Known
from luna_serving.engines.statespace.model.model import Model

from .shipped import near, smoothed, table

FOUR_DECIMALS = 1.5e-4


def start(transition):
    return Known(np.zeros(len(transition)), 100 * transition @ transition.T)


@pytest.fixture(scope="module")
def one():
    level, cycle, drift, first, second = uc_uni["parameters"]
    transition = np.zeros((4, 4))
    transition[[0, 0, 1, 1, 2, 3], [0, 3, 1, 2, 1, 3]] = [1, 1, first, second, 1, 1]
    model = Model(
        transition=transition,
        design=np.array([[1.0, 1.0, 0.0, 0.0]]),
        obs_cov=np.zeros((1, 1)),
        state_cov=np.diag([level**2, cycle**2, 0, drift**2]),
        initial=start(transition),
    )
    return np.log(uc_uni["data"]), model


@pytest.fixture(scope="module")
def two():
    level, cycle, drift, unemployment, noise, first, second, *loadings = uc_bi["parameters"]
    transition = np.zeros((6, 6))
    transition[[0, 0, 1, 1, 2, 3, 4, 5], [0, 4, 1, 2, 1, 2, 4, 5]] = [1, 1, first, second, 1, 1, 1, 1]
    model = Model(
        transition=transition,
        design=np.array([[1, 1, 0, 0, 0, 0], [0, *loadings, 0, 1]]),
        obs_cov=np.diag([0, noise**2]),
        state_cov=np.diag([level**2, cycle**2, 0, 0, drift**2, unemployment**2]),
        initial=start(transition),
    )
    data = np.array(uc_bi["data"])[4:]
    return np.column_stack([np.log(data[:, 0]), data[:, 1] / 100]), model


def test_clarks_model_of_gdp_is_gausss(one):
    y, model = one
    first = uc_uni["start"]
    result = smoothed(y, model)
    near(result.full.loglike_obs[first:].sum(), uc_uni["loglike"], 0, 1.5e-5)
    near(result.filtered_state[first:, [0, 1, 3]], uc_uni["states"], 0, FOUR_DECIMALS)


def test_clarks_model_of_gdp_and_unemployment_is_gausss(two):
    """States from GAUSS; the log-likelihood from FKF, for GAUSS's leaves out 2π."""
    y, model = two
    first = uc_bi["start"]
    result = smoothed(y, model)
    near(result.full.loglike, uc_bi["loglike"], 0, 1e-4)
    near(result.filtered_state[first:, [0, 1, 4, 5]], uc_bi["states"], 0, FOUR_DECIMALS)


def test_one_of_two_series_that_ends_early_is_fkfs(two):
    """FKF filtered, KFAS gave the log-likelihood (test_representation.py, `TestClark1989PartialMissing`).

    They are compared with predicted states, as there. The first column, of gains, is left out.
    """
    y, model = two
    y = y.copy()
    y[-51:, 1] = np.nan
    result = smoothed(y, model)
    near(result.full.loglike, 1232.113456)
    near(result.full.predicted_state[1:], table("results_clark1989_R.csv").iloc[:, 1:], 0, 1e-8)


@pytest.mark.parametrize("name", ["one", "two"])
def test_forecasts_are_missing_observations(name, request):
    """statsmodels' forecast tests: the same states when a hundred missing periods follow."""
    y, model = request.getfixturevalue(name)
    longer = smoothed(np.concatenate([y, np.full((100, *y.shape[1:]), np.nan)]), model)
    ahead = forecast_batch([(y, model)], [100]).series[0]
    near(longer.full.predicted_state[len(y) : -1], ahead.state, 1e-12, 1e-12)
    near(longer.full.loglike, ahead.filtered.full.loglike, 1e-12)


def test_money_growth_with_moving_coefficients_is_gausss():
    """Kim & Nelson (1999, section 3.4), a regression whose coefficients walk: design varies in time.

    statsmodels ships the numbers and has no test of them. Kim & Nelson's program starts from a covariance of 50, one
    transition early (timing "filtered"), and prints predicted states with four decimals, from parameters with four.
    """
    data = np.array(tvp["data"])
    noise, *walks = tvp["parameters"]
    model = Model(
        transition=np.eye(5),
        design=np.column_stack([np.ones(len(data)), data[:, 2:]])[:, None, :],
        obs_cov=np.array([[noise**2]]),
        state_cov=np.diag(walks) ** 2,
        initial=Known(np.zeros(5), 50 * np.eye(5), timing="filtered"),
    )
    result = smoothed(data[:, 1], model)
    first = tvp["start"]
    near(result.full.loglike_obs[first:].sum(), tvp["loglike"], 0, 1e-5)
    near(result.full.predicted_state[first:-1], tvp["states"], 0, 3e-4)
