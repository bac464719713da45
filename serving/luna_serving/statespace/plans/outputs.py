"""What follows from filtered means and covariances that a batch shares: predictions, forecasts, errors, likelihood.

Rows before `first` are diffuse: their forecasts have no finite variance, and the engine's filter answers for them.
All of it is computed in float64, whatever the means were computed in.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.statespace.plans.blocks import Floats

LOG_2PI: Final = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """How a batch's states are observed and move, and how uncertain each forecast is; float64."""

    transition: Floats  # T [n, n] or [time, n, n]
    state_intercept: Floats  # c [n] or [time, n]
    design: Floats  # Z [m, n] or [time, m, n]
    obs_intercept: Floats  # d [m] or [time, m]
    forecast_error_cov: Floats  # F [time, m, m], of all elements, missing or not
    first: int = 0  # the first row whose start is not diffuse


@dataclass(frozen=True, slots=True, eq=False)
class SharedOutputs:
    """Outputs of a whole batch, time-major; rows of a diffuse period are NaN, but for predictions."""

    predicted_state: Floats  # [time + 1, n, batch]
    forecasts: Floats  # [time, m, batch]
    forecast_error: Floats  # [time, m, batch]; NaN where missing
    standardized_forecast_error: Floats  # [time, m, batch]: C v with C' C = F^-1, C lower triangular
    loglike_obs: Floats  # [time, batch]; zero where nothing was observed


def shared_outputs(observation: Observation, y: Floats, filtered: Floats, start: Floats) -> SharedOutputs:
    """Derive the outputs (Durbin & Koopman 2012, eq. 4.24 and section 7.2.1).

    Args:
        observation: the model's part, shared by the batch.
        y: `[time, m, batch]`; NaN where missing, for all series alike.
        filtered: filtered means `[time, n, batch]`.
        start: predicted means of the first period `[n, batch]`.
    """
    means = np.asarray(filtered, np.float64)
    length, n, batch = means.shape
    m = y.shape[1]
    predicted = np.empty((length + 1, n, batch))
    predicted[0] = start
    np.matmul(np.broadcast_to(observation.transition, (length, n, n)), means, out=predicted[1:])
    if observation.state_intercept.any():
        predicted[1:] += np.broadcast_to(observation.state_intercept, (length, n))[:, :, None]
    forecasts = np.broadcast_to(observation.design, (length, m, n)) @ predicted[:-1]
    if observation.obs_intercept.any():
        forecasts += np.broadcast_to(observation.obs_intercept, (length, m))[:, :, None]
    error = np.asarray(y, np.float64) - forecasts
    whitening, constant = _whitening(observation, np.isnan(y[:, :, 0]) if batch else np.ones((length, m), bool))
    standardized = whitening @ np.where(np.isnan(error), 0.0, error)
    loglike = constant[:, None] - 0.5 * np.einsum("tmb,tmb->tb", standardized, standardized)
    standardized[np.isnan(error)] = np.nan
    for output in (forecasts, error, standardized, loglike):
        output[: observation.first] = np.nan
    return SharedOutputs(predicted, forecasts, error, standardized, loglike)


def _whitening(observation: Observation, missing: Floats) -> tuple[Floats, Floats]:
    """C of each period `[time, m, m]`, zero for missing elements, and the log-density of a zero error `[time]`.

    An element whose variance is zero is known without being observed and tells nothing (section 6.4.2).
    """
    m = missing.shape[1]
    cov = np.array(observation.forecast_error_cov, np.float64)
    cov[: observation.first] = np.eye(m)
    silent = missing | (np.diagonal(cov, axis1=1, axis2=2) <= 0)
    cov[silent] = 0.0
    cov.swapaxes(1, 2)[silent] = 0.0
    diagonal = np.arange(m)
    cov[:, diagonal, diagonal] += silent
    root = np.linalg.cholesky(cov)
    sizes = np.log(root[:, diagonal, diagonal]).sum(axis=1)
    constant = -0.5 * LOG_2PI * (~silent).sum(axis=1) - sizes
    whitening = np.linalg.solve(root, np.eye(m)[None] * ~silent[:, None])
    return whitening, constant
