"""Vector autoregressions, moving averages and dynamic factors against Stata's dfactor and sspace.

Models, parameters, files and tolerances: statsmodels' test_varmax.py and test_dynamic_factor.py. The matrices are those
of its VARMAX and DynamicFactor, so that only the engine is ours; intercepts of the observations are constant and in
time (means, trends). Predictions as far as the file goes are a filter's, over missing observations.
"""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.statespace.dynamic_factor import DynamicFactor
from statsmodels.tsa.statespace.tests.results import results_dynamic_factor as factors
from statsmodels.tsa.statespace.tests.results import results_varmax as varmax
from statsmodels.tsa.statespace.varmax import VARMAX

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.model.initial import Stationary

from .shipped import model_of, near, shipped, table

# German investment, income and consumption (Lütkepohl): growth 1960Q2 to 1982Q4. Stata fitted the first 75.
GERMANY = np.diff(np.log(np.array(varmax.lutkepohl_data, dtype=np.float64)), axis=0)
FITTED, ALL = 75, 91
# Stata's dynamic forecasts begin in 1961Q1: nothing is observed from there on.
DYNAMIC = 3
CONSTANT, TREND = np.ones((ALL, 1)), np.arange(ALL)[:, None] + 2.0
# The stem of the columns, parameters and log-likelihood, the class that makes the matrices, its arguments, regressors.
STATA = {
    "VAR": ("predict_{}", varmax.lutkepohl_var1, VARMAX, {"order": (1, 0)}, None),
    "diagonal VAR": ("predict_diag{}", varmax.lutkepohl_var1_diag, VARMAX, {"order": (1, 0)}, None),
    "VAR about a mean": ("predict_int{}", varmax.lutkepohl_var1_obs_intercept, VARMAX, {"order": (1, 0)}, None),
    "two lags": ("predict_var2_{}", varmax.lutkepohl_var2, VARMAX, {"order": (2, 0)}, None),
    "static factor": ("predict_sfm_{}", factors.lutkepohl_sfm, DynamicFactor, {"factor_order": 0}, None),
    "factor": ("predict_dfm_{}", factors.lutkepohl_dfm, DynamicFactor, {"factor_order": 2}, None),
    "two factors": (
        "predict_dfm2_{}",
        factors.lutkepohl_dfm2,
        DynamicFactor,
        {"k_factors": 2, "factor_order": 1},
        None,
    ),
    "factor and mean": ("predict_dfm_exog1_{}", factors.lutkepohl_dfm_exog1, DynamicFactor, {}, CONSTANT),
    "factor and trend": (
        "predict_dfm_exog2_{}",
        factors.lutkepohl_dfm_exog2,
        DynamicFactor,
        {},
        np.hstack([CONSTANT, TREND]),
    ),
    "factor and VAR errors": (
        "predict_dfm_gen_{}",
        factors.lutkepohl_dfm_gen,
        DynamicFactor,
        {"error_var": True, "error_order": 1, "error_cov_type": "unstructured"},
        None,
    ),
    "factor and AR errors": (
        "predict_dfm_ar2_{}",
        factors.lutkepohl_dfm_ar2,
        DynamicFactor,
        {"error_order": 2},
        None,
    ),
    "factor and one variance": (
        "predict_dfm_scalar_{}",
        factors.lutkepohl_dfm_scalar,
        DynamicFactor,
        {"error_cov_type": "scalar"},
        CONSTANT,
    ),
}


def of_germany(name):
    """Observations and the model, over all periods; Stata's predictions and dynamic ones; its log-likelihood."""
    stem, true, kind, arguments, exog = STATA[name]
    elements = 2 if name == "two lags" else 3
    y = GERMANY[:, :elements]
    if kind is VARMAX:
        diagonal = name in {"diagonal VAR", "VAR about a mean"}
        arguments = {**arguments, "trend": "n", "error_cov_type": "diagonal" if diagonal else "unstructured"}
        if "obs_intercept" in true:
            arguments["obs_intercept"] = true["obs_intercept"]
    else:
        arguments = {"k_factors": 1, "factor_order": 1, **arguments}
    peer = kind(y, exog=exog, **arguments)
    peer.update(np.array(true["params"], dtype=np.float64))
    file = "results_var_stata.csv" if kind is VARMAX else "results_dynamic_factor_stata.csv"
    columns = [stem.format(i + 1) for i in range(elements)]
    stata = table(file).iloc[1:]
    expected, dynamic = stata[columns], stata[[f"dyn_{column}" for column in columns]]
    return y, model_of(peer.ssm, Stationary()), expected, dynamic, true["loglike"]


@pytest.mark.parametrize("name", STATA)
def test_predictions_and_dynamic_predictions_are_statas(name):
    """One step ahead where data are, and then as far as the file goes: 1e-6, Stata's digits."""
    y, model, predicted, dynamic, loglike = of_germany(name)
    known, little = y.copy(), y.copy()
    known[FITTED:], little[DYNAMIC:] = np.nan, np.nan
    one, other = filter_batch([(known, model), (little, model)], "full").series
    near(one.full.loglike, loglike, 1e-6)
    near(one.full.forecasts, predicted, 0, 1e-6)
    near(other.full.forecasts, dynamic, 0, 1e-6)


@pytest.mark.filterwarnings("ignore:Estimation of VARMA")
@pytest.mark.parametrize("name", ["varma11", "vma1"])
def test_moving_averages_of_american_manufacturing_are_statas(name):
    """To 1e-6, Stata's digits; statsmodels takes 1e-4 of one-step predictions."""
    true = getattr(varmax, f"fred_{name}")
    data = pd.read_stata(shipped("manufac.dta"))
    y = data[["lncaputil", "lnhours"]].diff().to_numpy(dtype=np.float64)[1:]
    peer = VARMAX(y, order=(int(name == "varma11"), 1), trend="n", error_cov_type="diagonal")
    peer.update(np.array(true["params"]))
    model = model_of(peer.ssm, Stationary())
    stata = table("results_varmax_stata.csv").iloc[1:]
    until = int(np.flatnonzero(pd.to_datetime(data.month) == "2000-01-01")[0]) - 1
    dynamic = np.vstack([y[:until], np.full((len(stata) - until, 2), np.nan)])
    known = np.vstack([y, np.full((len(stata) - len(y), 2), np.nan)])
    one, other = filter_batch([(known, model), (dynamic, model)], "full").series
    near(one.full.loglike, true["loglike"], 1e-6)
    near(one.full.forecasts, stata[[f"predict_{name}_1", f"predict_{name}_2"]], 0, 1e-6)
    near(other.full.forecasts, stata[[f"dyn_predict_{name}_1", f"dyn_predict_{name}_2"]], 0, 1e-6)
