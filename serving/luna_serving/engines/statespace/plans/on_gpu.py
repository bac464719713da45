"""The plans' inner loops as GPU kernels: the same arguments and answers, chosen by the device."""

import jax
import numpy as np

from luna_serving.engines.statespace.gpu.device import supported
from luna_serving.engines.statespace.plans.memory import Floats, Precision
from luna_serving.engines.statespace.plans.per_series import ModelArrays, Moments
from luna_serving.engines.statespace.plans.recurrence import Recurrence


def kernels_run(states: int, observed: int, dtype: Precision) -> bool:
    """Whether this process's device runs the kernels for such models."""
    return observed == 1 and supported(jax.default_backend(), states, dtype)


def shared_gain_on_gpu(
    gains: Recurrence,
    y: Floats,
    start: Floats,
    precision: Precision,
    *,
    interpret: bool = False,
) -> Floats:
    """As `shared_gain.shared_gain_filter`, of one observed element."""
    # Imported here: Pallas takes 0.3 s, and a CPU never needs it.
    from luna_serving.engines.statespace.gpu.shared_gain import filter_means

    means = filter_means(
        gains.phi.astype(precision),
        gains.gain[:, :, 0].astype(precision),
        gains.offset.astype(precision),
        np.nan_to_num(y.reshape(y.shape[:2]).T, nan=0.0).astype(precision),
        start.astype(precision),
        interpret=interpret,
    )
    return _series_major(means.filtered)


def per_series_on_gpu(
    lanes: ModelArrays,
    y: Floats,
    start: Moments,
    precision: Precision,
    *,
    interpret: bool = False,
) -> tuple[Floats, Moments]:
    """As `per_series.per_series_filter`; covariances and gains in float64 for either precision of the means."""
    from luna_serving.engines.statespace.gpu.per_series import Params, filter_series

    params = Params(lanes.transition, lanes.design, lanes.obs_var, lanes.state_intercept, lanes.state_cov)
    data = (y.T - lanes.obs_intercept[None]).astype(precision)
    found = filter_series(params, data, start.mean.astype(precision), start.cov, interpret=interpret)
    after = Moments(np.asarray(found.mean, np.float64), np.asarray(found.cov, np.float64))
    return _series_major(found.means), after


def _series_major(means: jax.Array) -> Floats:
    """`[time, state, batch]` as float64 `[batch, time, state]`."""
    return np.moveaxis(np.asarray(means), -1, 0).astype(np.float64, order="C")
