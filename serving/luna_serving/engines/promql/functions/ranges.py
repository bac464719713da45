"""Functions of the samples in a window, in any order of time: the `*_over_time` family and aggregations.

All take `values` float64 [samples] and windows as `first`, `end` int64 [windows] with at least one sample each, and
return float64 [windows].
"""

from collections.abc import Callable

import numpy as np

from luna_serving.engines.promql.series import Bools, Floats, Ints
from luna_serving.engines.promql.sums import add, compensated_sums, side_by_side

Check = Callable[[], None]

#: Elements of a padded table that is sorted at once: 16 MB.
_TABLE = 2_000_000
#: Below this many windows, plain Python is faster than NumPy's calls.
_FEW = 24


def totals(values: Floats, first: Ints, end: Ints, check: Check) -> Floats:
    """Compensated sums."""
    sums = compensated_sums(first, end, lambda indices, _: values[indices], check)
    with np.errstate(all="ignore"):
        total: Floats = np.where(np.isinf(sums.total), sums.total, sums.total + sums.compensation)
    return total


def smallest(values: Floats, first: Ints, end: Ints) -> Floats:
    """Minima; NaN only where there is nothing else."""
    return _reduced(np.fmin, values, first, end)


def largest(values: Floats, first: Ints, end: Ints) -> Floats:
    """Maxima; NaN only where there is nothing else."""
    return _reduced(np.fmax, values, first, end)


def _reduced(function: np.ufunc, values: Floats, first: Ints, end: Ints) -> Floats:
    if not len(first):
        return np.empty(0)
    bounds = np.empty(2 * len(first), dtype=np.int64)
    bounds[::2], bounds[1::2] = first, end
    # `reduceat` needs an element after the last window.
    padded = np.append(values, np.nan)
    reduced: Floats = function.reduceat(padded, bounds)[::2]
    return reduced


def quantiles(q: Floats, values: Floats, first: Ints, end: Ints, check: Check) -> Floats:
    """Quantiles with linear interpolation; NaN sorts before all numbers.

    Args:
        q: float64 [windows]; below 0 gives -Inf, above 1 gives +Inf, NaN gives NaN.
        values: float64 [samples].
        first: int64 [windows].
        end: int64 [windows].
        check: called now and then.
    """
    result = np.empty(len(first))
    lengths = end - first
    order = np.argsort(lengths, kind="stable")
    at = 0
    while at < len(order):
        check()
        # Windows of similar length, so that padding stays small.
        longest = int(lengths[order[at]]) * 2
        upto = min(at + max(1, _TABLE // longest), int(np.searchsorted(lengths[order], longest, side="right")))
        chosen = order[at:upto]
        result[chosen] = _table_quantiles(q[chosen], values, first[chosen], lengths[chosen])
        at = upto
    result[q < 0] = -np.inf
    result[q > 1] = np.inf
    result[np.isnan(q)] = np.nan
    return result


def _table_quantiles(q: Floats, values: Floats, first: Ints, lengths: Ints) -> Floats:
    width = int(lengths.max())
    places = np.arange(width)
    inside = places < lengths[:, np.newaxis]
    table = np.where(inside, values[np.minimum(first[:, np.newaxis] + places, len(values) - 1)], np.inf)
    nan = np.isnan(table)
    nans = nan.sum(axis=1)
    table[nan] = -np.inf
    table.sort(axis=1)
    with np.errstate(all="ignore"):
        rank = np.clip(np.nan_to_num(q), 0, 1) * (lengths - 1)
        below = np.maximum(0, np.floor(rank)).astype(np.int64)
        above = np.minimum(lengths - 1, below + 1)
        weight = rank - np.floor(rank)
        rows = np.arange(len(lengths))
        low = np.where(below < nans, np.nan, table[rows, below])
        high = np.where(above < nans, np.nan, table[rows, above])
        interpolated: Floats = low * (1 - weight) + high * weight
    return interpolated


def variances(values: Floats, first: Ints, end: Ints, check: Check) -> Floats:
    """Population variances with compensated sums (`stdvar_over_time`)."""
    count = len(first)
    if count < _FEW:
        return np.array([_variance(values[a:b].tolist()) for a, b in zip(first, end, strict=True)], dtype=np.float64)
    mean, mean_rest, spread, spread_rest = (np.zeros(count) for _ in range(4))
    order = np.arange(count)
    with np.errstate(all="ignore"):
        for k, windows, indices in side_by_side(first, end, check):
            n = len(windows)
            if k == 0:
                order = windows
            value = values[indices]
            delta = value - (mean[:n] + mean_rest[:n])
            mean[:n], mean_rest[:n] = _added(delta / (k + 1), mean[:n], mean_rest[:n])
            step = delta * (value - (mean[:n] + mean_rest[:n]))
            spread[:n], spread_rest[:n] = _added(step, spread[:n], spread_rest[:n])
        result = np.empty(count)
        result[order] = spread + spread_rest
        return result / (end - first)


def _added(value: Floats, total: Floats, rest: Floats) -> tuple[Floats, Floats]:
    after = total + value
    rounded = after - total
    rest = rest + ((total - (after - rounded)) + (value - rounded))
    rest[np.isinf(after)] = 0.0
    return after, rest


def _variance(values: list[float]) -> float:
    mean = mean_rest = spread = spread_rest = 0.0
    for count, value in enumerate(values, start=1):
        delta = value - (mean + mean_rest)
        mean, mean_rest = add(delta / count, mean, mean_rest)
        spread, spread_rest = add(delta * (value - (mean + mean_rest)), spread, spread_rest)
    return (spread + spread_rest) / len(values)


def plain_variances(values: Floats, first: Ints, end: Ints, check: Check) -> Floats:
    """Population variances by Welford's method without compensation (`stdvar` over series).

    Where the first value is not finite, the result is NaN.
    """
    count = len(first)
    mean, spread = np.zeros(count), np.zeros(count)
    order = np.arange(count)
    with np.errstate(all="ignore"):
        for k, windows, indices in side_by_side(first, end, check):
            n = len(windows)
            value = values[indices]
            if k == 0:
                order = windows
                mean[:] = value
                spread[:] = np.where(np.isfinite(value), 0.0, np.nan)
                continue
            delta = value - mean[:n]
            mean[:n] += delta / (k + 1)
            spread[:n] += delta * (value - mean[:n])
        result = np.empty(count)
        result[order] = spread
        return result / (end - first)


def transitions(marked: Bools, first: Ints, end: Ints) -> Floats:
    """How many samples of each window are marked, the first one of the window apart.

    Args:
        marked: bool [samples]: something happened between a sample and the one before.
        first: int64 [windows].
        end: int64 [windows].
    """
    before = np.cumsum(marked)
    counts: Floats = (before[end - 1] - before[first]).astype(np.float64)
    return counts


def changed(values: Floats) -> Bools:
    """Where a sample differs from the one before; NaN equals NaN. bool [samples]."""
    marked = np.zeros(len(values), dtype=np.bool_)
    before, after = values[:-1], values[1:]
    marked[1:] = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return marked


def fell(values: Floats) -> Bools:
    """Where a sample is below the one before: a reset of a counter. bool [samples]."""
    marked = np.zeros(len(values), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        marked[1:] = values[1:] < values[:-1]
    return marked
