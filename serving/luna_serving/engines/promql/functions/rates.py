"""Rates of counters and differences of gauges, extrapolated to the window's bounds as in Prometheus 3."""

import numpy as np

from luna_serving.engines.promql.functions.ranges import fell
from luna_serving.engines.promql.samples import Windows
from luna_serving.engines.promql.series import Bools, Floats, Ints

_TWO = 2


def extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> tuple[Floats, Bools]:
    """`rate`, `increase` (counter) and `delta`: float64 and bool [series, steps].

    Args:
        windows: over the samples.
        counter: whether a fall is a reset, and whether to extrapolate below zero is wrong.
        per_second: whether to divide by the range.
    """
    present = windows.end - windows.first >= _TWO
    first, last = windows.first[present], windows.end[present] - 1
    timestamps, values = windows.samples.timestamps, windows.samples.values
    ends_ms = np.broadcast_to(windows.ends_ms, present.shape)[present]
    with np.errstate(all="ignore"):
        result = values[last] - values[first]
        if counter:
            _add_resets(result, values, first, last)
        # Seconds between the samples and the window's bounds.
        to_start = (timestamps[first] - (ends_ms - windows.range_ms)) / 1000
        to_end = (ends_ms - timestamps[last]) / 1000
        sampled = (timestamps[last] - timestamps[first]) / 1000
        apart = sampled / (last - first)
        threshold = apart * 1.1
        to_start = np.where(to_start >= threshold, apart / 2, to_start)
        if counter:
            # A counter does not start below zero: extrapolate at most to where it was zero.
            start_value = values[first]
            to_zero = np.where((result > 0) & (start_value >= 0), sampled * (start_value / result), to_start)
            to_start = np.where(to_zero < to_start, to_zero, to_start)
        to_end = np.where(to_end >= threshold, apart / 2, to_end)
        factor = (sampled + to_start + to_end) / sampled
        if per_second:
            factor /= windows.range_s
        out = np.zeros(present.shape)
        out[present] = result * factor
    return out, present


def _add_resets(result: Floats, values: Floats, first: Ints, last: Ints) -> None:
    """Add what a counter had reached before each reset in a window, one reset after the other."""
    resets = np.flatnonzero(fell(values))
    if not len(resets):
        return
    begin = np.searchsorted(resets, first + 1, side="left")
    counts = np.searchsorted(resets, last, side="right") - begin
    for k in range(int(counts.max(initial=0))):
        more = np.flatnonzero(counts > k)
        result[more] += values[resets[begin[more] + k] - 1]


def instant(windows: Windows, *, per_second: bool) -> tuple[Floats, Bools]:
    """`irate` (per second, a fall is a reset) and `idelta` of the last two samples; float64, bool [series, steps]."""
    present = windows.end - windows.first >= _TWO
    last = windows.end[present] - 1
    values, timestamps = windows.samples.values, windows.samples.timestamps
    with np.errstate(all="ignore"):
        result = values[last] - values[last - 1]
        if per_second:
            result = np.where(values[last] < values[last - 1], values[last], result)
            result /= (timestamps[last] - timestamps[last - 1]) / 1000
    out = np.zeros(present.shape)
    out[present] = result
    return out, present
