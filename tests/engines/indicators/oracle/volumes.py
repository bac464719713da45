"""Volume."""

from collections.abc import Iterator
from itertools import accumulate
from math import isclose

from tests.engines.indicators.oracle.windows import Line, Values, ratio, windowed


def obv(close: Values, volume: Values) -> Line:
    """Granville (1963); begins with the first bar's volume."""
    line = list(volume[:1])
    for t in range(1, len(close)):
        sign = (close[t] > close[t - 1]) - (close[t] < close[t - 1])
        line.append(line[-1] + sign * volume[t])
    return [*line]


def flows(high: Values, low: Values, close: Values, volume: Values) -> Iterator[float]:
    """Chaikin: volume by where the close stands in its bar's range, from -1 to 1."""
    for top, bottom, last, units in zip(high, low, close, volume, strict=True):
        yield ratio((last - bottom) - (top - last), top - bottom) * units


def ad(high: Values, low: Values, close: Values, volume: Values) -> Line:
    return list(accumulate(flows(high, low, close, volume)))


def adosc(high: Values, low: Values, close: Values, volume: Values, fast_period: int, slow_period: int) -> Line:
    """EMAs that begin with the first value of the line."""
    line = list(accumulate(flows(high, low, close, volume)))
    fast = slow = line[0]
    answer: Line = []
    for t, value in enumerate(line):
        fast += 2 / (fast_period + 1) * (value - fast)
        slow += 2 / (slow_period + 1) * (value - slow)
        answer.append(None if t < slow_period - 1 else fast - slow)
    return answer


def mfi(high: Values, low: Values, close: Values, volume: Values, period: int) -> Line:
    """Quong and Soudack (1989): money that came with rising typical prices, percent; 0 below a turnover of 1.

    Typical prices that differ in their last bit only are equal: three prices of cents, summed in another order.
    """
    typical = [(top + bottom + last) / 3 for top, bottom, last in zip(high, low, close, strict=True)]

    def at(a: int, b: int) -> float:
        moved = [t for t in range(a + 1, b) if not isclose(typical[t], typical[t - 1], rel_tol=1e-15)]
        up = sum(typical[t] * volume[t] for t in moved if typical[t] > typical[t - 1])
        down = sum(typical[t] * volume[t] for t in moved if typical[t] < typical[t - 1])
        return 0.0 if up + down < 1 else 100 * up / (up + down)

    return windowed(len(close), period + 1, at)


def vwap(high: Values, low: Values, close: Values, volume: Values) -> Line:
    """Turnover over volume, of typical prices, since the first bar."""
    line: Line = []
    turnover = units = 0.0
    for top, bottom, last, traded in zip(high, low, close, volume, strict=True):
        turnover += (top + bottom + last) / 3 * traded
        units += traded
        line.append(turnover / units if units else None)
    return line
