"""Averages and bands."""

from itertools import pairwise
from math import sqrt

from tests.engines.indicators.oracle.windows import Line, Values, each, ema, mean, of_known, sma, windowed, wma

__all__ = ["bbands", "dema", "donchian", "ema", "kama", "linearreg", "sma", "stddev", "tema", "trix", "wma"]


def dema(close: Values, period: int) -> Line:
    once = ema(close, period)
    twice = of_known(once, lambda known: ema(known, period))
    return each(lambda a, b: 2 * a - b, once, twice)


def tema(close: Values, period: int) -> Line:
    once = ema(close, period)
    twice = of_known(once, lambda known: ema(known, period))
    thrice = of_known(twice, lambda known: ema(known, period))
    return each(lambda a, b, c: 3 * a - 3 * b + c, once, twice, thrice)


def trix(close: Values, period: int) -> Line:
    """Change of a triple EMA, percent."""
    line: Line = list(close)
    for _ in range(3):
        line = of_known(line, lambda known: ema(known, period))
    return of_known(line, lambda known: [None, *(100 * (b / a - 1) for a, b in pairwise(known))])


def kama(close: Values, period: int) -> Line:
    """Kaufman: smoothing between EMA 2 and EMA 30 by the efficiency ratio; starts from the close before."""
    if period == 1:
        return [*close]
    line: Line = [None] * len(close)
    if len(close) <= period:
        return line
    state = close[period - 1]
    for t in range(period, len(close)):
        way = sum(abs(close[i] - close[i - 1]) for i in range(t + 1 - period, t + 1))
        efficiency = min(ratio_or_one(abs(close[t] - close[t - period]), way), 1.0)
        k = (efficiency * (2 / 3 - 2 / 31) + 2 / 31) ** 2
        state += k * (close[t] - state)
        line[t] = state
    return line


def ratio_or_one(above: float, below: float) -> float:
    return 1.0 if below == 0 else above / below


def deviation(values: Values) -> float:
    """Population deviation."""
    middle = mean(values)
    return sqrt(mean([(value - middle) ** 2 for value in values]))


def stddev(close: Values, period: int, nbdev: float) -> Line:
    return windowed(len(close), period, lambda a, b: nbdev * deviation(close[a:b]))


def bbands(close: Values, period: int, nbdev_up: float, nbdev_dn: float) -> tuple[Line, Line, Line]:
    middle = sma(close, period)
    return (
        each(lambda m, d: m + d, middle, stddev(close, period, nbdev_up)),
        middle,
        each(lambda m, d: m - d, middle, stddev(close, period, nbdev_dn)),
    )


def donchian(high: Values, low: Values, period: int) -> tuple[Line, Line, Line]:
    upper = windowed(len(high), period, lambda a, b: max(high[a:b]))
    lower = windowed(len(low), period, lambda a, b: min(low[a:b]))
    return upper, each(lambda a, b: (a + b) / 2, upper, lower), lower


def linearreg(close: Values, period: int) -> Line:
    """The regression line's value at the window's last bar."""

    def end(a: int, b: int) -> float:
        xs, ys = range(period), close[a:b]
        x0, y0 = mean(xs), mean(ys)
        slope = sum((x - x0) * (y - y0) for x, y in zip(xs, ys, strict=True)) / sum((x - x0) ** 2 for x in xs)
        return y0 + slope * (period - 1 - x0)

    return windowed(len(close), period, end)
