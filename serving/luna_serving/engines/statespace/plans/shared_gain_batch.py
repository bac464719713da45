"""The shared-gain plan as the engine runs it: many series of one model that miss the same points.

Covariances, gains and variances are those of one series, whatever its data, and are computed once by the engine's
filter; then only the means run over the batch (`shared_gain.py`), and what follows from them is arithmetic on whole
arrays. Results share their covariances: read-only views of the same memory.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import factor, solve
from luna_serving.engines.statespace.plans.derived import full_results
from luna_serving.engines.statespace.plans.memory import Precision
from luna_serving.engines.statespace.plans.on_gpu import kernels_run, shared_gain_on_gpu
from luna_serving.engines.statespace.plans.recurrence import Recurrence, period_gains, recurrence, settled
from luna_serving.engines.statespace.plans.shared_gain import shared_gain_filter
from luna_serving.engines.statespace.plans.slabs import rectangle
from luna_serving.engines.statespace.plans.threads import THREADS
from luna_serving.engines.statespace.recursions.filter import Variant
from luna_serving.engines.statespace.results.series import Convention, FullOutputs, SeriesResult
from luna_serving.engines.statespace.running.answers import gains, series_results
from luna_serving.engines.statespace.running.packing import Item, group
from luna_serving.engines.statespace.running.passes import forward_pass

Floats = NDArray[np.float64]
# In deviations of a forecast: beyond, the last digit of a float32 is a part of them that a likelihood shows.
FLOAT32_REACH: Final = 1e3
# Covariances of common models are constant after 28 to 127 periods, which the engine's filter takes in one go; those
# that vary after the second number of periods may never settle.
SETTLING: Final = (256, 1024)


def probe(pattern: Floats, model: Model, loglike: Convention) -> tuple[SeriesResult, Recurrence]:
    """One series with the pattern's gaps [T, m] through the engine: what all with those gaps share."""
    item = (pattern, model)
    (part,) = group([item], "full")
    passed = forward_pass([item], part, None)
    (result,) = series_results(passed, loglike)
    gain = joint_gain(model, gains(passed, 0), pattern)
    return result, recurrence(
        gain,
        over_time(model.transition, 2, 0, len(pattern)),
        over_time(model.design, 2, 0, len(pattern)),
        over_time(model.state_intercept, 1, 0, len(pattern)),
        over_time(model.obs_intercept, 1, 0, len(pattern)),
    )


def until_settled(model: Model, length: int, loglike: Convention) -> tuple[SeriesResult, Recurrence, int | None]:
    """A series without gaps until its covariances are constant, and the row from which they do.

    None for the row where they do not within `SETTLING` periods, or begin to only as the last of the series.
    """
    for size in SETTLING:
        head = min(size, length)
        one, shared = probe(np.zeros((head, model.observed)), model, loglike)
        if one.full is None or not one.finite:
            break
        rest = settled(one.full.predicted_state_cov[:-1])
        if rest is not None and one.full.nobs_diffuse < rest and rest + 1 < length:
            return one, shared, rest
        if head == length:
            break
    return one, shared, None


def _gains(pattern: Floats, model: Model, loglike: Convention, variant: Variant) -> tuple[SeriesResult, Recurrence]:
    """As `probe`. Where means are all that is asked for, covariances need not be computed once they are constant."""
    longer = variant == "means" and model.length is None and len(pattern) > SETTLING[0]
    if longer and not np.isnan(pattern).any():
        one, shared, rest = until_settled(model, len(pattern), loglike)
        if rest is not None:
            return one, shared.continued(rest, len(pattern))
        if shared.length == len(pattern):
            return one, shared
    return probe(pattern, model, loglike)


def joint_gain(model: Model, rows: Floats, pattern: Floats) -> Floats:
    """K [T, n, m] of whole periods from the gains [T·m, n] of observations taken one by one."""
    periods, m, n = len(pattern), model.observed, model.states
    each = rows.reshape(periods, m, n)
    if m == 1:
        return each.swapaxes(1, 2).copy()
    missing = np.isnan(pattern)
    lower, _ = factor(over_time(model.obs_cov, 2, 0, periods), missing)
    gain = period_gains(each, solve(lower, over_time(model.design, 2, 0, periods)))
    # In terms of y: L⁻¹ on the right.
    joint: Floats = gain @ solve(lower, np.broadcast_to(np.eye(m), lower.shape))
    return np.where(missing[:, None], 0.0, joint)


def shared_gain_batch(
    items: Sequence[Item],
    variant: Variant,
    loglike: Convention,
    precision: Precision,
    pool: Executor | None,
) -> list[SeriesResult] | None:
    """Results of series of one model whose gaps agree as far as each goes; None where one ends while it is diffuse."""
    model = items[0][1]
    longest = max((y for y, _ in items), key=len).reshape(-1, model.observed)
    one, shared = _gains(np.where(np.isnan(longest), np.nan, 0.0), model, loglike, variant)
    full, shortest = one.full, min(len(y) for y, _ in items)
    if full is None or full.nobs_diffuse >= shortest:
        return None
    y = rectangle([series for series, _ in items])
    if precision is np.float32 and float(np.abs(np.nan_to_num(y)).max(initial=0.0)) > FLOAT32_REACH * _least_deviation(
        model, full
    ):
        precision = np.float64
    start = np.repeat(model.start.mean[:, None], len(items), axis=1)
    if kernels_run(model.states, model.observed, precision):
        means = shared_gain_on_gpu(shared, y, start, precision)
    else:
        means = shared_gain_filter(shared, y, start, precision=precision, pool=pool, threads=THREADS)
    used: Literal["float32", "float64"] = "float32" if precision is np.float32 else "float64"
    if variant == "full":
        lengths = [len(series) for series, _ in items]
        return full_results(lengths, means, y.reshape(means.shape[:2]), one, full, used, pool)
    # What is not finite stays so: the last mean is finite only if all before it are.
    ends = np.array([len(series) for series, _ in items]) - 1
    finite = np.isfinite(means[np.arange(len(items)), ends]).all(axis=1).tolist()
    return [
        SeriesResult(model, mean[: end + 1], whole, None, None, None, "shared_gain", used)
        for mean, end, whole in zip(means, ends.tolist(), finite, strict=True)
    ]


def _least_deviation(model: Model, full: FullOutputs) -> float:
    """The smallest deviation of any forecast of any element."""
    cov = full.forecast_error_cov.reshape(-1, model.observed, model.observed)
    return float(np.sqrt(max(np.diagonal(cov, axis1=1, axis2=2).min(initial=np.inf), 0.0)))
