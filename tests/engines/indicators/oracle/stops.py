"""Channels, trailing stops and levels."""

from tests.engines.indicators.oracle.averages import donchian
from tests.engines.indicators.oracle.windows import Line, Values, each, ema, true_ranges, wilder


def keltner(
    high: Values, low: Values, close: Values, period: int, atr_period: int, nbdev: float
) -> tuple[Line, Line, Line]:
    """Keltner (1960): around typical prices. Both averages are seeded to begin at the same bar, as in TA-Lib."""
    first = max(period - 1, atr_period)
    typical = [(top + bottom + last) / 3 for top, bottom, last in zip(high, low, close, strict=True)]
    middle = ema(typical, period, first + 1 - period)
    width = wilder(true_ranges(high, low, close), atr_period, first + 1 - atr_period)
    upper = each(lambda m, w: m + nbdev * w, middle, width)
    return upper, middle, each(lambda m, w: m - nbdev * w, middle, width)


def supertrend(high: Values, low: Values, close: Values, period: int, multiplier: float) -> tuple[Line, Line]:
    """Bands around the middle only tighten until the close before has crossed them; begins upwards."""
    widths = wilder(true_ranges(high, low, close), period, 1)
    stops: Line = []
    trends: Line = []
    upper = lower = trend = 0.0
    for t, width in enumerate(widths):
        if width is None:
            stops.append(None)
            trends.append(None)
            continue
        middle = (high[t] + low[t]) / 2
        above, below = middle + multiplier * width, middle - multiplier * width
        if trend == 0:
            upper, lower, trend = above, below, 1.0
        else:
            upper = above if above < upper or close[t - 1] > upper else upper
            lower = below if below > lower or close[t - 1] < lower else lower
        if trend > 0 and close[t] < lower:
            trend = -1.0
        elif trend < 0 and close[t] > upper:
            trend = 1.0
        stops.append(lower if trend > 0 else upper)
        trends.append(trend)
    return stops, trends


def sar(high: Values, low: Values, acceleration: float, maximum: float) -> Line:
    """Wilder (1978); begins long unless the first movement is down, as in TA-Lib."""
    line: Line = [None] * min(1, len(high))
    if len(high) < 2:
        return line
    long = not (low[0] - low[1] > max(high[1] - high[0], 0))
    extreme = high[1] if long else low[1]
    stop = low[0] if long else high[0]
    factor = acceleration
    for t in range(1, len(high)):
        lows, highs = (low[t - 1], low[t]), (high[t - 1], high[t])
        if t == 1:
            lows, highs = (low[1], low[1]), (high[1], high[1])
        if (long and low[t] <= stop) or (not long and high[t] >= stop):
            long = not long
            stop = min(extreme, *lows) if long else max(extreme, *highs)
            line.append(stop)
            factor = acceleration
            extreme = high[t] if long else low[t]
        else:
            line.append(stop)
            if (long and high[t] > extreme) or (not long and low[t] < extreme):
                extreme = high[t] if long else low[t]
                factor = min(factor + acceleration, maximum)
        stop += factor * (extreme - stop)
        stop = min(stop, *lows) if long else max(stop, *highs)
    return line


def ichimoku(
    high: Values,
    low: Values,
    close: Values,
    tenkan_period: int,
    kijun_period: int,
    senkou_b_period: int,
    displacement: int,
) -> tuple[Line, Line, Line, Line, Line]:
    """The cloud that a chart shows at a bar was computed `displacement - 1` bars before it."""
    tenkan, kijun, b = (donchian(high, low, period)[1] for period in (tenkan_period, kijun_period, senkou_b_period))
    a = each(lambda x, y: (x + y) / 2, tenkan, kijun)
    back = displacement - 1
    delayed = [([None] * back + line)[: len(close)] for line in (a, b)]
    lines = (tenkan, kijun, *delayed, [*close])
    hidden = [each(lambda value, *_: value, line, *lines) for line in lines]
    return hidden[0], hidden[1], hidden[2], hidden[3], hidden[4]


def pivot_points(high: Values, low: Values, close: Values) -> tuple[Line, ...]:
    rows: list[tuple[float | None, ...]] = [(None,) * 7]
    for top, low_, last in zip(high[:-1], low[:-1], close[:-1], strict=True):
        p, width = (top + low_ + last) / 3, top - low_
        rows.append((p, 2 * p - low_, p + width, top + 2 * (p - low_), 2 * p - top, p - width, low_ - 2 * (top - p)))
    return tuple(list(line) for line in zip(*rows[: len(close)], strict=True))
