"""Linear regression over the samples of windows: `deriv` and `predict_linear`."""

from collections.abc import Callable

import numpy as np

from luna_serving.engines.promql.functions.ranges import changed, transitions
from luna_serving.engines.promql.samples import Samples
from luna_serving.engines.promql.series import Floats, Ints
from luna_serving.engines.promql.sums import compensated_sums


def regression(
    samples: Samples, first: Ints, end: Ints, origins_ms: Ints, check: Callable[[], None]
) -> tuple[Floats, Floats]:
    """Slope per second and value at the origin, by least squares: float64 [windows] each.

    Args:
        samples: flat.
        first: int64 [windows].
        end: int64 [windows], at least two samples after `first`.
        origins_ms: int64 [windows]: where the intercept is taken.
        check: called now and then.
    """
    timestamps, values = samples.timestamps, samples.values

    def seconds(indices: Ints, windows: Ints) -> Floats:
        elapsed: Floats = (timestamps[indices] - origins_ms[windows]) / 1e3
        return elapsed

    def total(term: Callable[[Floats, Floats], Floats]) -> Floats:
        sums = compensated_sums(first, end, lambda i, w: term(seconds(i, w), values[i]), check)
        both: Floats = sums.total + sums.compensation
        return both

    with np.errstate(all="ignore"):
        n = (end - first).astype(np.float64)
        x, y = total(lambda x, _: x), total(lambda _, y: y)
        xy, xx = total(lambda x, y: x * y), total(lambda x, _: x * x)
        covariance = xy - x * y / n
        variance = xx - x * x / n
        slope = covariance / variance
        intercept = y / n - slope * x / n
        # A constant has no slope, whatever rounding says. NaN is not constant.
        start = values[first]
        constant = (transitions(changed(values), first, end) == 0) & ~np.isnan(start)
        slope = np.where(constant, np.where(np.isinf(start), np.nan, 0.0), slope)
        intercept = np.where(constant, np.where(np.isinf(start), np.nan, start), intercept)
    return slope, intercept
