"""Expected returns by the Kalman filter: for each asset the level that its returns vary around. Loads JAX."""

from collections.abc import Callable
from typing import Final

import numpy as np

from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.moments.estimates import Moments, sample
from luna_serving.engines.statespace.api.compute import FitTask, configure_jax, filter_batch, fit_batch
from luna_serving.engines.statespace.api.description import KINDS

KIND: Final = "local_level"
# The start of the search, for returns of variance one: a level that moves little.
START: Final = {"obs_var": 0.95, "level_var": 0.01}
ITERATIONS: Final = 200


def filtered(returns: Floats, stop: Callable[[], bool]) -> Moments:
    """The level of each asset's returns after the last period, and their sample covariance.

    The model is a local level (Durbin and Koopman 2012, chapter 2), its variances estimated by maximum likelihood. A
    level whose variance is zero is the sample mean.

    Args:
        returns: [T, n], T >= 3.
        stop: ends the search at its best so far.
    """
    configure_jax()
    moments = sample(returns)
    scale = np.sqrt(moments.cov.diagonal())
    moving = np.flatnonzero(scale > 0)
    series = [(returns[:, [i]] - moments.mean[i]) / scale[i] for i in moving]
    task = FitTask(
        kind=KIND,
        fields=START,
        build=lambda fields: KINDS[KIND](**fields),
        free=("obs_var", "level_var"),
        starts=1,
        max_iterations=ITERATIONS,
    )
    fits = fit_batch(task, series, stop)
    items = [(y, KINDS[KIND](**(fit.fields or START))) for y, fit in zip(series, fits, strict=True)]
    mean = moments.mean.copy()
    for i, result in zip(moving, filter_batch(items, "full").series, strict=True):
        mean[i] += scale[i] * float(result.filtered_state[-1, 0])
    return Moments(mean, moments.cov)
