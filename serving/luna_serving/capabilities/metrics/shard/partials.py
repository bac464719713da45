"""Partials of buckets of time: count, compensated sum, minimum, maximum, first and last sample. Pure.

Partials of shorter buckets are combined into those of longer ones. The sum is a pair (high, low), whose parts are added
by Knuth's TwoSum (TAOCP 2, section 4.2.2): the error of a sum of n samples is that of one rounding, plus n units of
2**-106.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.metrics.shard.runs import Floats, Ints
from luna_serving.engines.promql.api import is_stale

HOUR_MS: Final = 3_600_000
_ROW: Final = np.dtype(
    [
        ("start_ms", "<i8"),
        ("count", "<i8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("minimum", "<f8"),
        ("maximum", "<f8"),
        ("first_ms", "<i8"),
        ("first", "<f8"),
        ("last_ms", "<i8"),
        ("last", "<f8"),
    ]
)
Rows = NDArray[np.void]
NO_ROWS: Final[Rows] = np.empty(0, _ROW)


def partials_of(timestamps: Ints, values: Floats, interval_ms: int) -> Rows:
    """The partials of a series; buckets begin at multiples of the interval since 1970, empty ones are left out.

    Args:
        timestamps: shape (samples,), ms, ascending.
        values: shape (samples,); staleness markers are no samples.
        interval_ms: of the buckets.
    """
    kept = ~is_stale(values)
    if not kept.all():
        timestamps, values = timestamps[kept], values[kept]
    if not len(timestamps):
        return NO_ROWS
    buckets = timestamps // interval_ms
    starts = _starts(buckets)
    ends = np.append(starts[1:], len(buckets))
    rows = np.empty(len(starts), _ROW)
    rows["start_ms"] = buckets[starts] * interval_ms
    rows["count"] = ends - starts
    rows["high"], rows["low"] = _sums(values, np.zeros_like(values), starts)
    # A NaN is no extreme, unless all are.
    rows["minimum"], rows["maximum"] = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    rows["first_ms"], rows["first"] = timestamps[starts], values[starts]
    rows["last_ms"], rows["last"] = timestamps[ends - 1], values[ends - 1]
    return rows


def combined(rows: Rows, interval_ms: int) -> Rows:
    """Partials of longer buckets.

    Args:
        rows: of one series, by time.
        interval_ms: of the longer buckets, a multiple of that of `rows`.
    """
    if not len(rows):
        return NO_ROWS
    buckets = rows["start_ms"] // interval_ms
    starts = _starts(buckets)
    ends = np.append(starts[1:], len(rows))
    found = np.empty(len(starts), _ROW)
    found["start_ms"] = buckets[starts] * interval_ms
    found["count"] = np.add.reduceat(rows["count"], starts)
    found["high"], found["low"] = _sums(rows["high"].copy(), rows["low"].copy(), starts)
    found["minimum"] = np.fmin.reduceat(rows["minimum"], starts)
    found["maximum"] = np.fmax.reduceat(rows["maximum"], starts)
    found["first_ms"], found["first"] = rows["first_ms"][starts], rows["first"][starts]
    found["last_ms"], found["last"] = rows["last_ms"][ends - 1], rows["last"][ends - 1]
    return found


def joined(parts: Sequence[Rows]) -> Rows:
    """Partials of one series and of buckets that follow each other."""
    return np.concatenate([NO_ROWS, *parts])


def pack(rows: Rows) -> bytes:
    """The bytes of partials."""
    return rows.tobytes()


def unpack(data: bytes) -> Rows:
    """The reverse of `pack`."""
    return np.frombuffer(data, _ROW)


def totals(rows: Rows) -> Floats:
    """The sums, rounded once."""
    total: Floats = rows["high"] + rows["low"]
    return total


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of samples and of squares of deviations."""

    total: float
    mean: float
    deviation: float


def moments_of(values: Floats) -> Moments:
    """The compensated sum, the mean and the standard deviation of the population; NaN without samples."""
    if not len(values):
        return Moments(0.0, np.nan, np.nan)
    total = _sum(values)
    mean = total / len(values)
    if not np.isfinite(mean):
        return Moments(total, mean, np.nan)
    deviations = values - mean
    # The second term corrects the rounding of the mean (Chan, Golub and LeVeque, 1983, equation 1.7).
    squares = _sum(deviations * deviations) - _sum(deviations) ** 2 / len(values)
    return Moments(total, mean, float(np.sqrt(max(squares, 0.0) / len(values))))


def _sum(values: Floats) -> float:
    high, low = _sums(values, np.zeros_like(values), np.zeros(1, np.int64))
    return float(high[0] + low[0])


def _starts(buckets: Ints) -> Ints:
    return np.flatnonzero(np.append(True, buckets[1:] != buckets[:-1]))


def _sums(high: Floats, low: Floats, starts: Ints) -> tuple[Floats, Floats]:
    """Sums of segments by halving: pairs of neighbours are added until each segment has one element.

    Args:
        high: shape (n,).
        low: shape (n,), what was rounded off `high`.
        starts: shape (segments,), the first element of each; none is empty.
    """
    plain = np.add.reduceat(high, starts)
    with np.errstate(invalid="ignore", over="ignore"):
        while len(high) > len(starts):
            place = np.arange(len(high)) - np.repeat(starts, np.diff(np.append(starts, len(high))))
            even = place % 2 == 0
            left = np.flatnonzero(even)
            # The last element of a segment of odd length has no neighbour.
            paired = np.append(~even[1:], False)[left]
            one, two = left[paired], left[paired] + 1
            total = high[one] + high[two]
            back = total - high[one]
            error = (high[one] - (total - back)) + (high[two] - back)
            high = high.copy()
            low = low.copy()
            high[one] = total
            low[one] = low[one] + low[two] + error
            starts = np.searchsorted(left, starts)
            high, low = high[left], low[left]
    # With infinities and NaNs the errors have no meaning.
    finite = np.isfinite(high) & np.isfinite(low)
    return np.where(finite, high, plain), np.where(finite, low, 0.0)
