"""Lookback rules that several entries share."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Lookback

NONE: Final = Lookback("0", lambda _: 0)
ONE: Final = Lookback("1", lambda _: 1)
PERIOD: Final = Lookback("period", lambda p: p["period"])
BEFORE_PERIOD: Final = Lookback("period - 1", lambda p: p["period"] - 1)
BEFORE_SLOW: Final = Lookback("slow_period - 1", lambda p: p["slow_period"] - 1)
"""Of a difference of two averages whose periods are ordered."""


def constant(bars: int) -> Lookback:
    """So many bars, whatever the parameters."""
    return Lookback(str(bars), lambda _: bars)
