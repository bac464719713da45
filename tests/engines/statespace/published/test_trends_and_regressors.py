"""VAR(2) of German growth with trends and regressors against R's vars: intercepts of the states, also in time.

Parameters, forecasts and log-likelihoods are those of statsmodels' test_var.py, to its tolerance (1e-7). R conditions
on the first two periods; so does an exact diffuse start, whose periods are left out of the likelihood. Intercepts are
written out here from R's parameters: c[t] moves the state to period t + 1. Left out: impulse responses, which are no
outputs here.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.tsa.tests.results as time_series
from statsmodels.tsa.statespace.tests.results import results_var_R as r

from luna_serving.engines.statespace.batch import forecast_batch
from luna_serving.engines.statespace.model.model import Model

from .shipped import near, table

PERIODS, STEPS = 75, 10
ROWS = PERIODS + STEPS + 1
SERIES = ["dln_inv", "dln_inc", "dln_consump"]
GERMANY = pd.read_stata(Path(time_series.__file__).parent / "lutkepohl2.dta").set_index("qtr").loc["1960-04-01":]
COUNT = np.arange(ROWS, dtype=np.float64)
CONSTANT = np.ones(ROWS)
INCOME, INVESTMENT = (GERMANY[name].to_numpy(dtype=np.float64)[:ROWS] for name in ("inc", "inv"))
# The columns of the forecasts, the results, trends before the coefficients of the lags and regressors after them.
CASES = {
    "neither": ("basic", r.res_basic, [], []),
    "constant": ("c", r.res_c, [CONSTANT], []),
    "trend": ("ct", r.res_ct, [CONSTANT, COUNT + 1], []),
    "trend from zero": ("ct_as_exog0", r.res_ct_as_exog0, [], [CONSTANT, COUNT]),
    "squared trend": ("ctt_as_exog1", r.res_ctt_as_exog1, [], [CONSTANT, COUNT + 1, (COUNT + 1) ** 2]),
    "trend and a regressor": ("ct_exog", r.res_ct_exog, [CONSTANT, COUNT + 1], [INCOME]),
    "two regressors": ("c_2exog", r.res_c_2exog, [CONSTANT], [INCOME, INVESTMENT]),
}


def moved(values, trends, regressors):
    """The model over 75 periods and 10 more; values are the trends', the lags', the regressors' and a Cholesky root's.

    Each equation's numbers stand together.
    """
    cuts = np.cumsum([3 * len(trends), 18, 3 * len(regressors)])
    of_trends, of_lags, of_regressors, of_root = np.split(np.array(values), cuts)
    root = np.zeros((3, 3))
    root[np.tril_indices(3)] = of_root
    moves = np.zeros((ROWS, 3))
    for columns, numbers in ((trends, of_trends), (regressors, of_regressors)):
        if columns:
            moves += np.column_stack(columns) @ numbers.reshape(3, -1).T
    moves = np.hstack([moves, np.zeros((ROWS, 3))])[1:]
    return Model(
        transition=np.vstack([of_lags.reshape(3, 6), np.eye(3, 6)]),
        design=np.eye(3, 6),
        obs_cov=np.zeros((3, 3)),
        state_cov=root @ root.T,
        selection=np.eye(6, 3),
        state_intercept=moves if (moves != moves[0]).any() else moves[0],
    )


@pytest.mark.parametrize("name", CASES)
def test_likelihoods_and_forecasts_are_rs(name):
    stem, shipped, trends, regressors = CASES[name]
    y = GERMANY[SERIES].to_numpy(dtype=np.float64)[:PERIODS]
    forecast = forecast_batch([(y, moved(shipped["params"], trends, regressors))], [STEPS]).series[0]
    full = forecast.filtered.full
    assert full.nobs_diffuse == 2
    near(full.loglike_obs[2:].sum(), shipped["llf"])
    expected = table("results_var_R_output.csv")[[f"{stem}.fcast.{column}.fcst" for column in SERIES]]
    near(forecast.mean, expected[:STEPS])
