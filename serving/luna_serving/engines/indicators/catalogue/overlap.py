"""Averages, bands and trailing stops: lines on the scale of the price."""

from math import isqrt
from typing import Final

from luna_serving.engines.indicators.catalogue.constraints import ACCELERATION_BELOW_MAXIMUM, SLOW_LIMIT_BELOW_FAST
from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Lookback, Stability
from luna_serving.engines.indicators.catalogue.inputs import CLOSE, CV, HL, HLC
from luna_serving.engines.indicators.catalogue.lookbacks import BEFORE_PERIOD, ONE, PERIOD, constant
from luna_serving.engines.indicators.catalogue.talib_entry import LARGEST, number, of_talib, period

OVERLAP, WINDOW, CONVERGING = Group.OVERLAP, Stability.WINDOW, Stability.CONVERGING
BANDS: Final = ("upperband", "middleband", "lowerband")
ANY: Final = (period(30, 1),)
DEVIATIONS: Final = tuple(number(name, 2.0, -LARGEST, LARGEST) for name in ("nbdev_up", "nbdev_dn"))
# A period of 1 does not smooth.
KAMA: Final = Lookback("period if period > 1 else 0", lambda p: p["period"] if p["period"] > 1 else 0)
DEMA: Final = Lookback("2 * (period - 1)", lambda p: 2 * (p["period"] - 1))
TEMA: Final = Lookback("3 * (period - 1)", lambda p: 3 * (p["period"] - 1))
T3: Final = Lookback("6 * (period - 1)", lambda p: 6 * (p["period"] - 1))
ZLEMA: Final = Lookback("period - 1 + (period - 1) // 2", lambda p: p["period"] - 1 + (p["period"] - 1) // 2)
HMA: Final = Lookback("period + isqrt(period) - 2", lambda p: p["period"] + isqrt(int(p["period"])) - 2)
KC: Final = Lookback("max(period - 1, atr_period)", lambda p: max(p["period"] - 1, p["atr_period"]))
STOP: Final = (number("acceleration", 0.02, 0.0, LARGEST), number("maximum", 0.2, 0.0, LARGEST))
LIMITS: Final = (number("fast_limit", 0.5, 0.01, 0.99), number("slow_limit", 0.05, 0.01, 0.99))

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("SMA", "Simple moving average", OVERLAP, CLOSE, WINDOW, BEFORE_PERIOD, ANY),
    of_talib("EMA", "Exponential moving average", OVERLAP, CLOSE, CONVERGING, BEFORE_PERIOD, ANY),
    of_talib("WMA", "Weighted moving average", OVERLAP, CLOSE, WINDOW, BEFORE_PERIOD, ANY),
    of_talib("DEMA", "Double exponential moving average", OVERLAP, CLOSE, CONVERGING, DEMA, ANY),
    of_talib("TEMA", "Triple exponential moving average", OVERLAP, CLOSE, CONVERGING, TEMA, ANY),
    of_talib("TRIMA", "Triangular moving average", OVERLAP, CLOSE, WINDOW, BEFORE_PERIOD, ANY),
    of_talib("KAMA", "Kaufman's adaptive moving average", OVERLAP, CLOSE, CONVERGING, KAMA, ANY),
    of_talib("RMA", "Wilder's moving average", OVERLAP, CLOSE, CONVERGING, BEFORE_PERIOD, ANY),
    of_talib("HMA", "Hull moving average", OVERLAP, CLOSE, WINDOW, HMA, (period(20, 1),)),
    of_talib("ZLEMA", "Zero-lag exponential moving average", OVERLAP, CLOSE, CONVERGING, ZLEMA, ANY),
    of_talib("VWMA", "Volume-weighted moving average", OVERLAP, CV, WINDOW, BEFORE_PERIOD, ANY),
    of_talib(
        "T3",
        "Tillson's T3 moving average",
        OVERLAP,
        CLOSE,
        CONVERGING,
        T3,
        (period(5, 1), number("v_factor", 0.7, 0.0, 1.0)),
    ),
    of_talib(
        "MAMA",
        "MESA adaptive moving average",
        OVERLAP,
        CLOSE,
        CONVERGING,
        constant(32),
        LIMITS,
        ("mama", "fama"),
        constraints=(SLOW_LIMIT_BELOW_FAST,),
    ),
    of_talib("HT_TRENDLINE", "Hilbert transform: trend line", OVERLAP, CLOSE, CONVERGING, constant(63)),
    of_talib("MIDPOINT", "Midpoint of closes", OVERLAP, CLOSE, WINDOW, BEFORE_PERIOD, (period(14),)),
    of_talib("MIDPRICE", "Midpoint of highs and lows", OVERLAP, HL, WINDOW, BEFORE_PERIOD, (period(14),)),
    of_talib("BBANDS", "Bollinger bands", OVERLAP, CLOSE, WINDOW, BEFORE_PERIOD, (period(20), *DEVIATIONS), BANDS),
    of_talib("ACCBANDS", "Acceleration bands", OVERLAP, HLC, WINDOW, BEFORE_PERIOD, (period(20),), BANDS),
    of_talib("DONCHIAN", "Donchian channel", OVERLAP, HL, WINDOW, BEFORE_PERIOD, (period(20),), BANDS),
    of_talib(
        "KC",
        "Keltner channel",
        OVERLAP,
        HLC,
        CONVERGING,
        KC,
        (period(20), period(10, 1, "atr_period"), number("nbdev", 2.0, -LARGEST, LARGEST)),
        BANDS,
        name="keltner",
    ),
    of_talib(
        "SUPERTREND",
        "Supertrend, and its direction: 1 up, -1 down",
        OVERLAP,
        HLC,
        CONVERGING,
        PERIOD,
        (period(10), number("multiplier", 3.0, 0.0, LARGEST)),
        ("supertrend", "trend"),
    ),
    of_talib(
        "SAR",
        "Parabolic stop and reverse",
        OVERLAP,
        HL,
        CONVERGING,
        ONE,
        STOP,
        constraints=(ACCELERATION_BELOW_MAXIMUM,),
    ),
)
