"""The examples of Stata's manual of `arima`: wholesale prices, airline passengers, Friedman's consumption and money.

Parameters and log-likelihoods: statsmodels' test_sarimax.py, to its tolerance (four decimals) or tighter. Stata
estimates means, which are our `intercept` (1 - ar) mean of differences, or move the observations (`obs_intercept`).
"""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX
from statsmodels.tsa.statespace.tests.results import results_sarimax as stata

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import arima
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse

from .shipped import model_of, near

FOUR_DECIMALS = 1e-4


def filtered(y, model):
    return filter_batch([(np.array(y, dtype=np.float64), model)], "full", loglike="kfas").series[0].full


@pytest.mark.parametrize(("true", "log"), [(stata.wpi1_stationary, False), (stata.wpi1_seasonal, True)])
def test_wholesale_prices_with_a_drift_are_statas(true, log):
    """Of levels from an exact diffuse start; Stata has differences. The second has moving averages at lags 1 and 4."""
    ma = [true["params_ma"][0], 0.0, 0.0, true["params_ma"][1]] if log else true["params_ma"]
    model = arima(
        order=[1, 1, len(ma)],
        ar=true["params_ar"],
        ma=ma,
        intercept=(1 - true["params_ar"][0]) * true["params_mean"][0],
        var=true["params_variance"][0],
    )
    y = np.log(true["data"]) if log else true["data"]
    near(filtered(y, model).loglike, true["loglike"], 0, FOUR_DECIMALS)


def test_wholesale_prices_from_a_variance_of_1e9_are_statas():
    true = stata.wpi1_diffuse
    peer = SARIMAX(true["data"], order=(1, 1, 1), trend="c", simple_differencing=True, hamilton_representation=True)
    intercept = (1 - true["params_ar"][0]) * true["params_mean"][0]
    peer.update(np.array([intercept, *true["params_ar"], *true["params_ma"], *true["params_variance"]]))
    model = model_of(peer.ssm, ApproximateDiffuse(true["initial_variance"]))
    near(filtered(peer.endog[:, 0], model).loglike, true["loglike"], 0, FOUR_DECIMALS)


def test_airline_passengers_are_statas():
    true = stata.air2_stationary
    model = arima(
        order=[0, 1, 1],
        seasonal_order=[0, 1, 1, 12],
        ma=true["params_ma"],
        seasonal_ma=true["params_seasonal_ma"],
        var=true["params_variance"][0],
    )
    near(filtered(np.log(true["data"]), model).loglike, true["loglike"], 0, FOUR_DECIMALS)


def friedman(true, periods):
    money = np.array(true["data"]["m2"])[:periods]
    model = arima(order=[1, 0, 1], ar=true["params_ar"], ma=true["params_ma"], var=true["params_variance"][0])
    mean = np.column_stack([np.ones_like(money), money]) @ true["params_exog"]
    return np.array(true["data"]["consump"])[:periods], replace(model, obs_intercept=mean[:, None])


def test_consumption_and_money_are_statas():
    true = stata.friedman2_mle
    near(filtered(*friedman(true, 92)).loglike, true["loglike"], 0, FOUR_DECIMALS)


@pytest.mark.parametrize(
    ("name", "known"), [("predict", 92), ("dynamic_predict", 76), ("forecast", 77), ("dynamic_forecast", 76)]
)
def test_predictions_of_consumption_are_statas(name, known):
    """To Stata's digits, three decimals: one step ahead of what is known, and then ever further from it."""
    true = stata.friedman2_predict
    y, model = friedman(true, 92)
    near(filtered(np.where(np.arange(92) < known, y, np.nan), model).forecasts, true[name], 0, 1e-3)
