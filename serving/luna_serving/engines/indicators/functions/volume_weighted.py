"""Prices weighted by volume."""

from collections.abc import Sequence

import numpy as np
import talib

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.formula import Params


def vwap(columns: Sequence[Column], _: Params) -> Sequence[Column]:
    """Typical prices weighted by volume since the first bar, from high, low, close, volume.

    Null until something has been traded; TA-Lib answers 0 there, which would be read as a price.
    """
    high, low, close, volume = columns
    average = talib.VWAP(high, low, close, volume)
    traded = np.flatnonzero(volume)
    average[: traded[0] if len(traded) else None] = np.nan
    return [average]
