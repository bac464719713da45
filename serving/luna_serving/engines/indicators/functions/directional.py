"""Wilder's directional movement, all three lines."""

from collections.abc import Sequence

import numpy as np
import talib

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.formula import Params


def adx(columns: Sequence[Column], params: Params) -> Sequence[Column]:
    """plus_di, minus_di and adx from high, low, close; null until the average has a value, as MACD's lines are."""
    high, low, close = columns
    period = int(params["period"])
    average: Column = talib.ADX(high, low, close, timeperiod=period)
    null = np.isnan(average)
    sides = [side(high, low, close, timeperiod=period) for side in (talib.PLUS_DI, talib.MINUS_DI)]
    return [*(np.where(null, np.nan, side) for side in sides), average]
