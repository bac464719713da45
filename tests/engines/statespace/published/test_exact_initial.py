"""Exact diffuse filtering and smoothing against KFAS 1.3.1, by all ten files that statsmodels ships.

statsmodels tests five of them, to rtol 1e-7 (test_exact_diffuse_filtering.py); here all hold to 1e-10.

Left out, and why:
- `Ptt`: KFAS's filtered covariances are not symmetric (statsmodels skips them too).
- `a`, `att` and `alphahat` of the diffuse periods in `KFAS_WRITES_TWICE`: KFAS 1.3.1 adds its diffuse updates to `a`
  in place, so that a[1] there holds what came after y[1]. statsmodels skips these as well. What KFAS adds to a[t] by
  smoothing, and its disturbances, are right, and are compared in every period.
- `v` and `F` while diffuse, but for the first element: KFAS takes elements one by one there; our joint covariance has
  no finite counterpart.
- `r`, `N`, `K`: steps on the way that are no outputs here.
"""

import numpy as np
import pytest

from luna_serving.engines.statespace.kinds import local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Known
from luna_serving.engines.statespace.model.model import Model

from .shipped import columns, macro, matrices, near, one_by_one, smoothed, table

GROWTH = 400 * np.diff(np.log(macro("realgdp", "realcons")), axis=0)[:20]
GAPS = GROWTH.copy()
GAPS[:5, 0] = np.nan
GAPS[8:12] = np.nan
LEVEL = np.array([10.2394, *[1.0] * 9])
TREND = np.array([10.2394, 4.2039, 6.123123, *[1.0] * 7])
TREND_GAP = np.where(np.arange(10) == 1, np.nan, TREND)
PAIR = np.column_stack([LEVEL, [8.2304, *[1.0] * 9]])
THETA = 0.1111


EXACT = Diffuse()


def vector(obs_var=(0.0, 0.0), initial=EXACT):
    return Model(
        transition=np.array([[0.5, 0.3], [0.2, 0.4]]),
        design=np.eye(2),
        obs_cov=np.diag(obs_var),
        state_cov=np.diag([2.0, 3.0]),
        initial=initial,
    )


FACTOR = Model(
    transition=np.array([[0.9, 0.1], [1.0, 0.0]]),
    design=np.array([[0.5, 0.0], [1.0, 0.0]]),
    obs_cov=np.diag([1.5, 2.0]),
    state_cov=np.eye(1),
    selection=np.array([[1.0], [0.0]]),
)
COMMON = Model(
    transition=np.eye(2),
    design=np.array([[1.0, 0.0], [THETA, 1.0]]),
    obs_cov=np.eye(2),
    state_cov=np.array([[3.2324]]),
    selection=np.array([[1.0], [0.0]]),
)
COMMON_RESTRICTED = Model(
    transition=np.eye(1), design=np.array([[1.0], [THETA]]), obs_cov=np.eye(2), state_cov=np.array([[3.2324]])
)
CASES = {
    "local_level": (LEVEL, local_level(obs_var=1.993, level_var=8.253)),
    "local_linear_trend": (TREND, local_linear_trend(obs_var=1.993, level_var=8.253, trend_var=2.334)),
    "local_linear_trend_missing": (TREND_GAP, local_linear_trend(obs_var=1.993, level_var=8.253, trend_var=2.334)),
    "common_level": (PAIR, COMMON),
    "common_level_restricted": (PAIR, COMMON_RESTRICTED),
    "var1": (GROWTH, vector()),
    "var1_measurement_error": (GROWTH, vector((4.0, 5.0))),
    "var1_missing": (GAPS, vector()),
    # The second state is moved by the first, which has no moments: KFAS was given those that it would have alone.
    "var1_mixed": (GROWTH, vector(initial=Blocks(((1, Diffuse()), (1, Known([0.0], [[3.0 / (1 - 0.4**2)]])))))),
    "dfm": (GROWTH, FACTOR),
}
KFAS_WRITES_TWICE = {"common_level_restricted", "var1_mixed", "dfm"}
RTOL = 1e-10
# Of zeros, and of what is left of large terms that cancel.
ATOL = 1e-12


@pytest.fixture(params=CASES, scope="module")
def case(request):
    y, model = CASES[request.param]
    shipped = table(f"results_exact_initial_{request.param}_R.csv")
    return request.param, y.reshape(len(y), -1), model, smoothed(y, model, "kfas"), shipped


def test_the_likelihood_is_kfas(case):
    """KFAS leaves out ½ ln 2π for each observation that the diffuse start used up; so does `loglike="kfas"`."""
    _, _, _, result, kfas = case
    near(result.full.loglike, kfas.llf[0], RTOL)


def test_predicted_and_filtered_states_are_kfas(case):
    name, y, model, result, kfas = case
    first = result.full.nobs_diffuse if name in KFAS_WRITES_TWICE else 0
    a = columns(kfas, "a", model.states, len(y) + 1, "_")
    near(result.full.predicted_state[first:], a[first:], RTOL, ATOL)
    near(result.filtered_state[first:], columns(kfas, "att", model.states, len(y), "_")[first:], RTOL, ATOL)
    forecasts = result.full.forecasts.reshape(y.shape)
    near(forecasts[first:], columns(kfas, "m", model.observed, len(y), "_")[first:], RTOL, ATOL)


def test_covariances_are_kfas(case):
    """Of predicted and smoothed states; of five files the sums of their elements, which is all they hold."""
    _, y, model, result, kfas = case
    predicted, after = result.full.predicted_state_cov, result.smoothed.smoothed_state_cov
    if "sumP" in kfas:
        near(predicted.sum(axis=(1, 2)), kfas.sumP, RTOL, ATOL)
        near(after.sum(axis=(1, 2)), kfas.sumV[: len(y)], RTOL, ATOL)
    else:
        near(predicted, matrices(kfas, "P", model.states, len(y) + 1), RTOL, ATOL)
        near(after, matrices(kfas, "V", model.states, len(y)), RTOL, ATOL)


def test_forecast_errors_taken_one_by_one_are_kfas(case):
    _, y, model, result, kfas = case
    first = result.full.nobs_diffuse
    errors, variances = one_by_one(result.full, model.observed, first)
    seen = ~np.isnan(y[first:])
    near(errors[seen], columns(kfas, "v", model.observed, len(y), "_")[first:][seen], RTOL, ATOL)
    near(variances[seen], columns(kfas, "F", model.observed, len(y), "_")[first:][seen], RTOL, ATOL)


def test_the_diffuse_forecast_variances_are_kfas(case):
    """Of what is observed: KFAS writes zero where nothing is, we write what the forecast has there too.

    Where more is observed than there are states the engine may take the observations as one number a state: then only
    the periods are compared.
    """
    _, y, model, result, kfas = case
    diffuse = np.nan_to_num(columns(kfas, "Finf", model.observed, len(y), "_"))
    ours = result.full.forecast_error_diffuse_cov.reshape(len(y), -1)
    seen = ~np.isnan(y)
    if model.observed <= model.states:
        near(ours[seen], diffuse[seen], RTOL, ATOL)
    whole = seen.all(axis=1)
    np.testing.assert_array_equal(ours[whole].max(axis=1) > 0, diffuse[whole].max(axis=1) > 0)


def test_smoothed_states_are_kfas(case):
    name, y, model, result, kfas = case
    ours, alphahat = result.smoothed.smoothed_state, columns(kfas, "alphahat", model.states, len(y), "_")
    first = result.full.nobs_diffuse if name in KFAS_WRITES_TWICE else 0
    near(ours[first:], alphahat[first:], RTOL, ATOL)
    a = columns(kfas, "a", model.states, len(y), "_")
    near(ours - result.full.predicted_state[:-1], alphahat - a, RTOL, ATOL)


def test_smoothed_disturbances_are_kfas(case):
    """In every period: what the smoothed states leave of the observations and of each other."""
    _, y, model, result, kfas = case
    states = result.smoothed.smoothed_state
    eta = np.linalg.pinv(model.selection) @ (states[1:] - states[:-1] @ model.transition.T).T
    near(eta.T, columns(kfas, "etahat", model.shocks, len(y) - 1, "_"), RTOL, ATOL)
    seen = ~np.isnan(y)
    left = y - states @ model.design.T
    near(left[seen], columns(kfas, "epshat", model.observed, len(y), "_")[seen], RTOL, ATOL)
    signal_cov = np.einsum("mn,tnk,mk->tm", model.design, result.smoothed.smoothed_state_cov, model.design)
    near(signal_cov[seen], columns(kfas, "Veps", model.observed, len(y), "_")[seen], RTOL, ATOL)


def test_the_common_level_starts_as_koopman_says():
    """Koopman (1997, section 5.3), with the restriction: the state that KFAS's file has wrong."""
    result = smoothed(PAIR, COMMON_RESTRICTED)
    phi = 1 / (1 + THETA**2)
    near(result.full.predicted_state[1], phi * (PAIR[0] @ [1.0, THETA]), RTOL)
    near(result.full.predicted_state_cov[1], phi + 3.2324, RTOL)
