"""Levels drawn from highs and lows: Ichimoku's cloud and pivot points."""

from collections.abc import Sequence

import numpy as np
import talib

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.formula import Params


def ichimoku(columns: Sequence[Column], params: Params) -> Sequence[Column]:
    """Ichimoku Kinko Hyo (Hosoda 1969): tenkan, kijun, senkou_a, senkou_b, chikou from high, low, close.

    Every value is known at its bar. The senkou lines are those that a chart shows at that bar, computed
    `displacement - 1` bars before, as TradingView displaces them. A chart draws the close `displacement - 1` bars back
    and calls it chikou; here it stays at its own bar, since at the earlier one it would look ahead. All five are null
    until the last of them has a value.
    """
    high, low, close = columns
    shift = int(params["displacement"]) - 1
    tenkan = _middle(high, low, int(params["tenkan_period"]))
    kijun = _middle(high, low, int(params["kijun_period"]))
    senkou_a = _delayed((tenkan + kijun) / 2, shift)
    senkou_b = _delayed(_middle(high, low, int(params["senkou_b_period"])), shift)
    null = np.isnan(kijun + tenkan + senkou_a + senkou_b)
    return [np.where(null, np.nan, line) for line in (tenkan, kijun, senkou_a, senkou_b, close)]


def pivot_points(columns: Sequence[Column], _: Params) -> Sequence[Column]:
    """Floor traders' pivot points of the bar before: pivot, r1, r2, r3, s1, s2, s3 from high, low, close.

    Person (2004), "A Complete Guide to Technical Trading Tactics": pivot is the mean of high, low and close, and
    r3 = high + 2 (pivot - low).
    """
    high, low, close = (_delayed(column, 1) for column in columns)
    pivot = (high + low + close) / 3
    width = high - low
    return [
        pivot,
        2 * pivot - low,
        pivot + width,
        high + 2 * (pivot - low),
        2 * pivot - high,
        pivot - width,
        low - 2 * (high - pivot),
    ]


def _middle(high: Column, low: Column, period: int) -> Column:
    """The middle between the highest high and the lowest low of a period (which TA-Lib takes from 2 on)."""
    if period == 1:
        return (high + low) / 2
    middle: Column = talib.MIDPRICE(high, low, timeperiod=period)
    return middle


def _delayed(column: Column, bars: int) -> Column:
    """Each value so many bars later, NaN before the first."""
    late = np.full(len(column), np.nan)
    late[bars:] = column[: max(len(column) - bars, 0)]
    return late
