"""Autoregressions of wholesale prices and of GDP against Stata, MATLAB's ssm toolbox and KFAS, whole and with a gap.

Files, parameters and tolerances: statsmodels' test_smoothing.py (`TestStatesAR3`, `TestStatesMissingAR3`) and
test_sarimax.py (`TestRealGDPARStata`). Stata printed seven decimals, the parameters too, and MATLAB worked from those:
statsmodels takes four decimals, and so do we, but for KFAS (nine).

Left out: `eta` and `etavar` of MATLAB with missing data, which are wrong (statsmodels: "KFAS confirm our results");
KFAS's are compared instead. `epsvar` and `etavar` are not outputs: there is no noise of measurement, and the other
needs covariances between periods.
"""

import numpy as np
import pytest

from luna_serving.engines.statespace.model.initial import Stationary
from luna_serving.engines.statespace.model.model import Model

from .shipped import columns, near, smoothed, table


def autoregression(*coefficients, var):
    """In Hamilton's form: the state holds the last values (statsmodels' `hamilton_representation`)."""
    lags = len(coefficients)
    return Model(
        transition=np.vstack([coefficients, np.eye(lags - 1, lags)]),
        design=np.eye(1, lags),
        obs_cov=np.zeros((1, 1)),
        state_cov=np.array([[var]]),
        selection=np.eye(lags, 1),
        initial=Stationary(),
    )


STATA = table("results_wpi1_ar3_stata.csv")
MODEL = autoregression(0.5270715, 0.0952613, 0.2580355, var=0.5307459)
CHANGES = np.diff(STATA.wpi.to_numpy())
GAP = CHANGES.copy()
# Of the levels 10 to 20.
GAP[9:20] = np.nan
DECIMALS = 0.5e-4 * 3  # assert_almost_equal(..., 4)


def matlab(name):
    names = ["a1", "a2", "a3", "detP", "alphahat1", "alphahat2", "alphahat3", "detV", "eps", "epsvar", "eta", "etavar"]
    return table(name, header=None, names=names)


@pytest.fixture(scope="module")
def whole():
    return smoothed(CHANGES, MODEL)


@pytest.fixture(scope="module")
def gap():
    return smoothed(GAP, MODEL)


def test_forecasts_residuals_and_states_are_statas(whole):
    after = STATA.iloc[1:]
    near(whole.full.forecasts, after.dep1, 0, DECIMALS)
    near(whole.full.standardized_forecast_error, after.sr1, 0, DECIMALS)
    near(whole.full.predicted_state[:-1], columns(after, "sp", 3, 123), 0, DECIMALS)
    near(whole.filtered_state, columns(after, "sf", 3, 123), 0, DECIMALS)
    near(whole.smoothed.smoothed_state, columns(after, "sm", 3, 123), 0, DECIMALS)


@pytest.mark.parametrize("name", ["whole", "gap"])
def test_states_and_determinants_are_matlabs(name, request):
    result = request.getfixturevalue(name)
    file = {"whole": "results_wpi1_ar3_matlab_ssm.csv", "gap": "results_wpi1_missing_ar3_matlab_ssm.csv"}[name]
    ssm = matlab(file)
    near(result.full.predicted_state[:-1], columns(ssm, "a", 3, 123), 0, DECIMALS)
    near(np.linalg.det(result.full.predicted_state_cov[:-1]), ssm.detP, 0, DECIMALS)
    near(result.smoothed.smoothed_state, columns(ssm, "alphahat", 3, 123), 0, DECIMALS)
    near(np.linalg.det(result.smoothed.smoothed_state_cov), ssm.detV, 0, DECIMALS)


def shocks(result):
    states = result.smoothed.smoothed_state
    return (states[1:] - states[:-1] @ MODEL.transition.T)[:, 0]


def test_smoothed_shocks_are_matlabs(whole):
    near(shocks(whole), matlab("results_wpi1_ar3_matlab_ssm.csv").eta[:-1], 0, DECIMALS)


def test_a_gap_is_smoothed_as_by_kfas(gap):
    """To nine decimals, of all that KFAS answers; it started from moments printed with eight."""
    kfas = table("results_smoothing3_R.csv")
    seen = ~np.isnan(GAP)
    near(gap.full.loglike, -130.0310409, 1e-9)
    near(gap.full.forecasts, kfas.m, 0, 1e-7)
    near(gap.full.forecast_error[seen], kfas.v[seen], 0, 1e-7)
    near(gap.full.forecast_error_cov[seen], kfas.F[seen], 1e-7)
    near(gap.full.predicted_state[1:], columns(kfas, "a", 3, 123), 0, 1e-7)
    near(gap.smoothed.smoothed_state, columns(kfas, "alphahat", 3, 123), 0, 1e-7)
    near(shocks(gap), kfas.etahat[:-1], 0, 1.5e-9)


def test_twelve_lags_of_gdp_are_statas():
    """statsmodels takes 1e-6 of states and 1e-3 of residuals: Stata printed eight digits of its parameters."""
    stata = table("results_realgdpar_stata.csv")
    lags = (0.40725515, 0.18782621, -0.01514009, -0.01027267, -0.03642297, 0.11576416)
    more = (0.02573029, -0.00766572, 0.13506498, 0.08649569, 0.06942822, -0.10685783)
    result = smoothed(np.diff(np.log(stata.value.to_numpy())), autoregression(*lags, *more, var=0.00007999607))
    near(result.filtered_state, columns(stata.iloc[1:], "u", 12, len(stata) - 1), 0, 1e-6)
    near(result.full.standardized_forecast_error, stata.rstd.iloc[1:], 0, 1e-3)
