"""Exponential smoothing against R's fpp and forecast (ets): fitted values, states, forecasts and their intervals.

Eleven models of oil, air passengers and tourists with levels, damped trends and seasons. Parameters, first states and
tolerance (1e-7) are those of statsmodels' test_exponential_smoothing.py, the matrices those of its
ExponentialSmoothing: one shock, itself the first state, moves everything. The start is known but for the first shock.

Left out: R's likelihood, which is another function of the errors (their mean square is compared), and two intervals
that it works out otherwise (statsmodels leaves them out too).
"""

import ast

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing

from luna_serving.engines.statespace.batch import forecast_batch
from luna_serving.engines.statespace.model.initial import Known

from .shipped import FOLDER, model_of, near, table


def written(name: str) -> np.ndarray:
    """A series that statsmodels' test module writes out; importing that would need its pytest markers."""
    module = ast.parse((FOLDER.parent / "test_exponential_smoothing.py").read_text())
    (series,) = (
        line.value
        for line in module.body
        if isinstance(line, ast.Assign) and [ast.unparse(target) for target in line.targets] == [name]
    )
    assert isinstance(series, ast.Call)
    return np.array(ast.literal_eval(series.args[0]))


OIL, AIR, TOURISTS = map(written, ("oildata", "air", "aust"))
PARAMETERS = table("exponential_smoothing_params.csv", index_col=0)
PREDICTIONS = table("exponential_smoothing_predict.csv", index_col=0)
STATES = table("exponential_smoothing_states.csv", index_col=0)
LEVEL = ["alpha", "sigma2", "l0"]
DAMPED = ["alpha", "beta", "phi", "sigma2", "l0", "b0"]
SEASONS = ["l0", "b0", "s0_0", "s0_1", "s0_2"]
# The series, what ExponentialSmoothing is told, and the rows of its parameters in the file.
CASES = {
    "oil_fpp1": (OIL, {}, LEVEL),
    "oil_fpp2": (OIL, {}, LEVEL),
    "oil_fpp3": (OIL, {}, LEVEL),
    "oil_ets": (OIL, {}, LEVEL),
    "air_fpp1": (AIR, {"trend": True}, ["alpha", "beta_star", "sigma2", "l0", "b0"]),
    "air_fpp2": (AIR, {"trend": True, "damped_trend": True}, DAMPED),
    "air_ets": (AIR, {"trend": True, "damped_trend": True}, DAMPED),
    "aust_fpp1": (TOURISTS, {"trend": True, "seasonal": 4}, ["alpha", "beta", "gamma", "sigma2", *SEASONS]),
    "aust_ets1": (TOURISTS, {"trend": True, "seasonal": 4}, ["alpha", "beta", "gamma", "sigma2", *SEASONS]),
    "aust_ets2": (
        TOURISTS,
        {"trend": True, "damped_trend": True, "seasonal": 4},
        ["alpha", "beta", "gamma", "phi", "sigma2", *SEASONS],
    ),
    "aust_ets3": (TOURISTS, {"seasonal": 4}, ["alpha", "gamma", "sigma2", "l0", *SEASONS[2:]]),
}


@pytest.mark.parametrize("name", CASES)
def test_exponential_smoothing_is_rs(name):
    y, told, rows = CASES[name]
    values = PARAMETERS.loc[rows, name].to_numpy(copy=True)
    if "beta_star" in rows:
        values[1] *= values[0]
    peer = ExponentialSmoothing(y, concentrate_scale=False, initialization_method="estimated", **told)
    peer.update(values)
    mean, _, _ = peer.ssm.initialization(model=peer.ssm)
    moves = peer.ssm["selection"]
    start = Known(mean, PARAMETERS.loc["sigma2", name] * moves @ moves.T)
    shown = PREDICTIONS[[f"{name}_{what}" for what in ("mean", "lower", "upper")]].dropna(subset=f"{name}_mean")
    steps = len(shown) - len(y)
    forecast = forecast_batch([(y, model_of(peer.ssm, start))], [steps]).series[0]
    full = forecast.filtered.full
    near(full.forecasts, shown[f"{name}_mean"][: len(y)])
    states = STATES.filter(regex=f"^{name}_").dropna()
    near(forecast.filtered.filtered_state[:, 1 : 1 + states.shape[1]], states[1:])
    error = "sse" if np.isnan(PARAMETERS.loc["mse", name]) else "mse"
    squares = full.forecast_error**2
    near(squares.sum() if error == "sse" else squares.mean(), PARAMETERS.loc[error, name])
    near(forecast.mean, shown[f"{name}_mean"][len(y) :])
    if name not in {"air_fpp1", "aust_ets3"}:
        half = norm.ppf(0.975) * np.sqrt(forecast.variance)
        near(forecast.mean - half, shown[f"{name}_lower"][len(y) :])
        near(forecast.mean + half, shown[f"{name}_upper"][len(y) :])
