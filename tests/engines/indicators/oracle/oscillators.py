"""Oscillators of momentum."""

from itertools import pairwise

from tests.engines.indicators.oracle.windows import (
    Line,
    Values,
    each,
    ema,
    mean,
    of_known,
    ratio,
    sma,
    true_ranges,
    wilder,
    windowed,
)


def rsi(close: Values, period: int) -> Line:
    """Wilder (1978): 100 times average gain over average gain plus average loss; 0 where nothing moves."""
    changes = [b - a for a, b in pairwise(close)]
    gains = wilder([max(change, 0.0) for change in changes], period)
    losses = wilder([max(-change, 0.0) for change in changes], period)
    return [None, *each(lambda gain, loss: 100 * ratio(gain, gain + loss), gains, losses)][: len(close)]


def macd(close: Values, fast_period: int, slow_period: int, signal_period: int) -> tuple[Line, Line, Line]:
    """TA-Lib seeds the fast average with the bars just before the slow one's first value."""
    fast = ema(close, fast_period, slow_period - fast_period)
    line = each(lambda a, b: a - b, fast, ema(close, slow_period))
    signal = of_known(line, lambda known: ema(known, signal_period))
    shown = each(lambda value, _: value, line, signal)
    return shown, signal, each(lambda a, b: a - b, shown, signal)


def ppo(close: Values, fast_period: int, slow_period: int) -> Line:
    """Other than in MACD, each average is seeded with its own first bars."""
    return each(lambda a, b: 100 * ratio(a - b, b), ema(close, fast_period), ema(close, slow_period))


def mom(close: Values, period: int) -> Line:
    return windowed(len(close), period + 1, lambda a, b: close[b - 1] - close[a])


def roc(close: Values, period: int) -> Line:
    return windowed(len(close), period + 1, lambda a, b: 100 * ratio(close[b - 1] - close[a], close[a]))


def stochastic(high: Values, low: Values, close: Values, period: int) -> Line:
    """Where the close stands in the range of a period, percent; 0 where there is no range."""

    def at(a: int, b: int) -> float:
        bottom, top = min(low[a:b]), max(high[a:b])
        return 100 * ratio(close[b - 1] - bottom, top - bottom)

    return windowed(len(close), period, at)


def stoch(
    high: Values, low: Values, close: Values, fastk_period: int, slowk_period: int, slowd_period: int
) -> tuple[Line, Line]:
    fast = stochastic(high, low, close, fastk_period)
    slow = of_known(fast, lambda known: sma(known, slowk_period))
    signal = of_known(slow, lambda known: sma(known, slowd_period))
    return each(lambda k, _: k, slow, signal), signal


def stochrsi(close: Values, period: int, fastk_period: int, fastd_period: int) -> tuple[Line, Line]:
    fast = of_known(rsi(close, period), lambda known: stochastic(known, known, known, fastk_period))
    signal = of_known(fast, lambda known: sma(known, fastd_period))
    return each(lambda k, _: k, fast, signal), signal


def willr(high: Values, low: Values, close: Values, period: int) -> Line:
    def at(a: int, b: int) -> float:
        bottom, top = min(low[a:b]), max(high[a:b])
        return -100 * ratio(top - close[b - 1], top - bottom)

    return windowed(len(close), period, at)


def cci(high: Values, low: Values, close: Values, period: int) -> Line:
    """Lambert (1980): 0 where the window is flat."""
    typical = [(top + bottom + last) / 3 for top, bottom, last in zip(high, low, close, strict=True)]

    def at(a: int, b: int) -> float:
        middle = mean(typical[a:b])
        return ratio(typical[b - 1] - middle, 0.015 * mean([abs(value - middle) for value in typical[a:b]]))

    return windowed(len(close), period, at)


def aroon(high: Values, low: Values, period: int) -> tuple[Line, Line]:
    """Down and up: how recent the last extreme of period + 1 bars is, percent."""

    def age(values: Values, extreme: float) -> int:
        return next(i for i, value in enumerate(reversed(values)) if value == extreme)

    def down(a: int, b: int) -> float:
        return 100 * (period - age(low[a:b], min(low[a:b]))) / period

    def up(a: int, b: int) -> float:
        return 100 * (period - age(high[a:b], max(high[a:b]))) / period

    return windowed(len(low), period + 1, down), windowed(len(high), period + 1, up)


def ultosc(high: Values, low: Values, close: Values, period1: int, period2: int, period3: int) -> Line:
    """Williams (1976): buying pressure over true range in three periods, the shortest weighs four."""
    ranges = true_ranges(high, low, close)
    pressures = [0.0] + [close[t] - min(low[t], close[t - 1]) for t in range(1, len(close))]
    periods = sorted((period1, period2, period3))

    def at(_: int, b: int) -> float:
        shares = [ratio(sum(pressures[b - p : b]), sum(ranges[b - p : b])) for p in periods]
        return 100 * (4 * shares[0] + 2 * shares[1] + shares[2]) / 7

    return windowed(len(close), periods[-1] + 1, at)


def adx(high: Values, low: Values, close: Values, period: int) -> tuple[Line, Line, Line]:
    """Wilder (1978): sums begin with the first period - 1 movements, as in TA-Lib."""
    size = len(close)
    ranges = true_ranges(high, low, close)
    plus, minus, index = [0.0], [0.0], []
    for t in range(1, size):
        up, down = high[t] - high[t - 1], low[t - 1] - low[t]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    sums = [sum(line[1:period]) for line in (plus, minus, ranges)]
    sides: list[tuple[float, float]] = []
    for t in range(period, size):
        sums = [s - s / period + line[t] for s, line in zip(sums, (plus, minus, ranges), strict=True)]
        sides.append((100 * ratio(sums[0], sums[2]), 100 * ratio(sums[1], sums[2])))
        up, down = sides[-1]
        index.append(100 * ratio(abs(up - down), up + down))
    average = wilder(index, period)
    lines = [[side[i] for side in sides] for i in (0, 1)]
    start: Line = [None] * min(period, size)
    hidden = [start + each(lambda value, _: value, line, average) for line in lines]
    return hidden[0], hidden[1], start + average


def atr(high: Values, low: Values, close: Values, period: int) -> Line:
    return wilder(true_ranges(high, low, close), period, 1)


def natr(high: Values, low: Values, close: Values, period: int) -> Line:
    return each(lambda a, c: 100 * ratio(a, c), atr(high, low, close, period), close)
