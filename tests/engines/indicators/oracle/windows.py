"""Indicators as plain loops over Python lists, written from their definitions: the reference for the engine.

No vector library and no running sums: each value is computed from its own window, or from the value before it. None is
a bar without a value. This module holds what the loops share: windows, and exponential and Wilder averages.
"""

from collections.abc import Callable, Sequence
from math import fsum

Line = list[float | None]
Values = Sequence[float]


def windowed(size: int, period: int, at: Callable[[int, int], float]) -> Line:
    """`at(first, end)` of each window of `period` bars that ends with its bar."""
    return [None if t + 1 < period else at(t + 1 - period, t + 1) for t in range(size)]


def mean(values: Values) -> float:
    return fsum(values) / len(values)


def sma(values: Values, period: int) -> Line:
    return windowed(len(values), period, lambda a, b: mean(values[a:b]))


def wma(values: Values, period: int) -> Line:
    """The newest value weighs `period`, the oldest one."""
    total = period * (period + 1) / 2
    return windowed(len(values), period, lambda a, b: fsum(w * v for w, v in enumerate(values[a:b], start=1)) / total)


def smoothed(values: Values, period: int, k: float, first: int = 0) -> Line:
    """s += k (v - s), from the mean of the first `period` values after `first`."""
    line: Line = [None] * len(values)
    start = first + period - 1
    if start >= len(values):
        return line
    state = mean(values[first : start + 1])
    line[start] = state
    for t in range(start + 1, len(values)):
        state += k * (values[t] - state)
        line[t] = state
    return line


def ema(values: Values, period: int, first: int = 0) -> Line:
    return smoothed(values, period, 2 / (period + 1), first)


def wilder(values: Values, period: int, first: int = 0) -> Line:
    return smoothed(values, period, 1 / period, first)


def of_known(line: Line, function: Callable[[list[float]], Line]) -> Line:
    """A function of a line's values, after its leading nulls."""
    known = [value for value in line if value is not None]
    return [None] * (len(line) - len(known)) + function(known)


def each(function: Callable[..., float], *lines: Sequence[float | None]) -> Line:
    """Value by value; None where any line has none."""
    return [None if None in values else function(*values) for values in zip(*lines, strict=True)]


def ratio(above: float, below: float, otherwise: float = 0.0) -> float:
    return otherwise if below == 0 else above / below


def true_ranges(high: Values, low: Values, close: Values) -> list[float]:
    """From bar 1 on; bar 0, which has no close before it, counts as 0 and is never read."""
    return [0.0] + [max(high[t], close[t - 1]) - min(low[t], close[t - 1]) for t in range(1, len(close))]
