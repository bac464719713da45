"""Observations that a model rules out: their forecast has no variance, and they differ from it.

Such an observation has probability zero. The filter learns nothing from it and goes on; the log-likelihood is minus
infinity, and the answer says so. One that agrees with its certain forecast up to rounding is no news, and adds nothing.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import over_time
from luna_serving.engines.statespace.results.series import FullOutputs
from luna_serving.engines.statespace.running.packing import Lane

Floats = NDArray[np.float64]

# Of the sizes that a forecast error is the difference of. A forecast is a sum of products of states that have
# themselves been added up over the series: 1e-16 a sum, a million sums at most. Data that are rounded on purpose, to
# cents or per cents, are off by far more: they do contradict a model without noise.
ROUNDING: Final = 1e-9
# Standard deviations of what variance there is, where float64 cannot distinguish it from rounding.
DEVIATIONS: Final = 8.0


def not_learnt(error: Floats, standardized: Floats, diffuse: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which observations the filter skipped for want of a variance of their forecast; all three of one shape."""
    skipped: NDArray[np.bool_] = ~np.isnan(error) & np.isnan(standardized) & ~diffuse
    return skipped


def skips(full: FullOutputs) -> bool:
    """Whether the filter skipped an observation of this series, of any value."""
    diffuse = full.forecast_diffuse.reshape(-1, *[1] * (full.forecast_error.ndim - 1))
    return bool(not_learnt(full.forecast_error, full.standardized_forecast_error, diffuse).any())


def ruled_out(lane: Lane, rows: Mapping[str, Floats]) -> NDArray[np.bool_]:
    """Which observations of a series contradict the model [rows], from what the filter answered of its rows."""
    error = rows["forecast_error"]
    found = not_learnt(error, rows["standardized_forecast_error"], rows["forecast_error_diffuse_cov"] > 0)
    if not found.any():
        return found
    model, k = lane.prepared.model, lane.prepared.rows
    intercept = over_time(model.obs_intercept, 1, lane.saved.period, len(error) // k)
    terms = np.abs(np.broadcast_to(lane.rows.design, (len(error), model.states))) * np.abs(rows["predicted_state"][:-1])
    sizes = np.abs(lane.rows.y) + terms.sum(axis=1) + np.repeat(np.abs(intercept).max(axis=1), k)
    left = np.maximum(rows["forecast_error_cov"], np.ravel(lane.rows.obs_var))
    allowed = ROUNDING * sizes + DEVIATIONS * np.sqrt(np.maximum(left, 0.0))
    with np.errstate(invalid="ignore"):
        contradicts: NDArray[np.bool_] = found & (np.abs(error) > allowed)
    return contradicts
