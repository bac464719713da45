"""What is computed: many symbols' daily bars of five years, and ten indicators of each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from tests.engines.indicators.histories import random_bars

from luna_serving.engines.indicators.bars import Bars

SYMBOLS: Final = 1_000
BARS: Final = 1_260
INDICATORS: Final[Mapping[str, Mapping[str, int | float]]] = MappingProxyType(
    {
        "sma": {"period": 20},
        "ema": {"period": 20},
        "rsi": {"period": 14},
        "macd": {"fast_period": 12, "slow_period": 26, "signal_period": 9},
        "bbands": {"period": 20, "nbdev_up": 2.0, "nbdev_dn": 2.0},
        "atr": {"period": 14},
        "adx": {"period": 14},
        "stoch": {"fastk_period": 14, "slowk_period": 3, "slowd_period": 3},
        "cci": {"period": 20},
        "obv": {},
    }
)


def universe(symbols: int = SYMBOLS, bars: int = BARS) -> list[Bars]:
    """Random bars without gaps, the same in every run."""
    return [random_bars(bars, seed) for seed in np.arange(symbols).tolist()]
