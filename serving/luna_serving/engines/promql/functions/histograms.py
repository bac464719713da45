"""Quantiles and fractions of classic histograms: cumulative counts in buckets with upper bounds.

`bounds` are float64 [buckets], strictly ascending, the last one +Inf. `counts` are float64 [buckets, steps].
"""

from dataclasses import dataclass

import numpy as np

from luna_serving.engines.promql.series import Bools, Floats

#: Relative differences of counts below this are rounding errors (Prometheus, promql/quantile.go).
_TOLERANCE = 1e-12
_SMALLEST_NORMAL = 2.2250738585072014e-308


@dataclass(frozen=True, slots=True)
class Fixed:
    """Counts made monotonic.

    Attributes:
        counts: float64 [buckets, steps].
        forced: bool [steps]: a count fell by more than a rounding error.
        low: float64 [steps]: the lowest bound of a bucket that was raised; +Inf if none.
        high: float64 [steps]: the highest one; -Inf if none.
        difference: float64 [steps]: the largest fall.
    """

    counts: Floats
    forced: Bools
    low: Floats
    high: Floats
    difference: Floats


def coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets sorted, those with the same bound added up."""
    order = np.argsort(bounds, kind="stable")
    bounds, counts = bounds[order], counts[order]
    new = np.concatenate(([True], bounds[1:] != bounds[:-1]))
    return bounds[new], np.add.reduceat(counts, np.flatnonzero(new), axis=0)


def monotonic(bounds: Floats, counts: Floats) -> Fixed:
    """Counts that do not fall from bucket to bucket."""
    counts = counts.copy()
    steps = counts.shape[1]
    forced = np.zeros(steps, dtype=np.bool_)
    low, high, difference = np.full(steps, np.inf), np.full(steps, -np.inf), np.zeros(steps)
    before = counts[0]
    with np.errstate(all="ignore"):
        for bucket in range(1, len(bounds)):
            now = counts[bucket]
            close = _almost_equal(before, now)
            falls = ~close & (now < before)
            if falls.any():
                forced |= falls
                low[falls] = np.minimum(low[falls], bounds[bucket])
                high[falls] = np.maximum(high[falls], bounds[bucket])
                difference[falls] = np.maximum(difference[falls], (before - now)[falls])
            counts[bucket] = np.where(close | falls, before, now)
            before = counts[bucket]
    return Fixed(counts, forced, low, high, difference)


def _almost_equal(a: Floats, b: Floats) -> Bools:
    """Equal up to the tolerance, relative to both (Prometheus, util/almost)."""
    total = np.abs(a) + np.abs(b)
    difference = np.abs(a - b)
    tiny = (a == 0) | (b == 0) | (total < _SMALLEST_NORMAL)
    near = np.where(
        tiny,
        difference < _TOLERANCE * _SMALLEST_NORMAL,
        difference / np.minimum(total, 1.7976931348623157e308) < _TOLERANCE,
    )
    close: Bools = (a == b) | (np.isnan(a) & np.isnan(b)) | near
    return close


def quantile(q: Floats, bounds: Floats, counts: Floats) -> Floats:
    """Quantiles by linear interpolation within a bucket.

    Args:
        q: float64 [steps].
        bounds: with +Inf last.
        counts: monotonic.

    Returns:
        float64 [steps]. NaN without observations or with one bucket only; the second highest bound if the quantile is
        in the highest bucket; -Inf and +Inf for `q` below 0 and above 1.
    """
    last = len(bounds) - 1
    result = np.full(counts.shape[1], np.nan)
    if last >= 1:
        with np.errstate(all="ignore"):
            rank = q * counts[last]
            bucket = (~(counts[:last] >= rank)).sum(axis=0)
            steps = np.arange(counts.shape[1])
            inside = np.minimum(bucket, last - 1)
            below = np.maximum(inside - 1, 0)
            begin = np.where(inside > 0, bounds[below], 0.0)
            count_below = np.where(inside > 0, counts[below, steps], 0.0)
            count = counts[inside, steps] - count_below
            interpolated = begin + (bounds[inside] - begin) * ((rank - count_below) / count)
            result = np.where((inside == 0) & (bounds[0] <= 0), bounds[0], interpolated)
            result = np.where(bucket == last, bounds[last - 1], result)
            result = np.where(counts[last] == 0, np.nan, result)
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where(np.isnan(q), np.nan, result)


def fraction(lower: Floats, upper: Floats, bounds: Floats, counts: Floats) -> Floats:
    """The share of observations between two values, by linear interpolation within a bucket.

    Args:
        lower: float64 [steps].
        upper: float64 [steps].
        bounds: with +Inf last.
        counts: as they are.
    """
    total = counts[-1]
    with np.errstate(all="ignore"):
        result = (_rank(upper, bounds, counts) - _rank(lower, bounds, counts)) / total
    result = np.where(lower >= upper, 0.0, result)
    return np.where((total == 0) | np.isnan(lower) | np.isnan(upper), np.nan, result)


def _rank(value: Floats, bounds: Floats, counts: Floats) -> Floats:
    """How many observations are below a value, float64 [steps]."""
    total = counts[-1]
    rank, found = np.zeros(len(value)), np.zeros(len(value), dtype=np.bool_)
    begin = 0.0 if bounds[0] > 0 else -np.inf
    before = np.zeros(len(value))
    for bound, count in zip(bounds, counts, strict=True):
        at_begin = ~found & (begin >= value)
        rank[at_begin] = before[at_begin]
        found |= at_begin
        inside = ~found & (begin < value) & (bound > value)
        within = count if begin == -np.inf else before + (count - before) * (value - begin) / (bound - begin)
        rank[inside] = within[inside]
        found |= inside
        begin, before = bound, count
    return np.where(~found | (rank > total), total, rank)
