"""Oscillators of price: how fast, how far and in which direction it moves."""

from typing import Final

from luna_serving.engines.indicators.catalogue.constraints import FAST_BEFORE_SLOW
from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Lookback, Stability
from luna_serving.engines.indicators.catalogue.inputs import CLOSE, HL, HLC, HLCV, OC, OHLC, VOLUME
from luna_serving.engines.indicators.catalogue.lookbacks import BEFORE_PERIOD, BEFORE_SLOW, NONE, PERIOD
from luna_serving.engines.indicators.catalogue.talib_entry import of_talib, period
from luna_serving.engines.indicators.functions.directional import adx

MOMENTUM = Group.MOMENTUM
EXACT, WINDOW, CONVERGING = Stability.EXACT, Stability.WINDOW, Stability.CONVERGING
FAST_SLOW: Final = (period(12, 2, "fast_period"), period(26, 2, "slow_period"))
AWESOME: Final = (period(5, 2, "fast_period"), period(34, 2, "slow_period"))
SIGNAL: Final = period(9, 1, "signal_period")
MACD_LINES: Final = ("macd", "macdsignal", "macdhist")
ORDERED: Final = (FAST_BEFORE_SLOW,)
FAST_K, FAST_D = period(5, 1, "fastk_period"), period(3, 1, "fastd_period")
SLOW: Final = (period(3, 1, "slowk_period"), period(3, 1, "slowd_period"))
SMI_PERIODS: Final = (
    period(13),
    period(2, 2, "fast_period"),
    period(25, 2, "slow_period"),
    period(9, 2, "signal_period"),
)

DM: Final = Lookback("max(period - 1, 1)", lambda p: max(p["period"] - 1, 1))
DPO: Final = Lookback("max(period - 1, period // 2 + 1)", lambda p: max(p["period"] - 1, p["period"] // 2 + 1))
ADX: Final = Lookback("2 * period - 1", lambda p: 2 * p["period"] - 1)
ADXR: Final = Lookback("3 * period - 2", lambda p: 3 * p["period"] - 2)
WITH_SIGNAL: Final = Lookback("slow_period + signal_period - 2", lambda p: p["slow_period"] + p["signal_period"] - 2)
FIXED: Final = Lookback("signal_period + 24", lambda p: p["signal_period"] + 24)
COPPOCK: Final = Lookback(
    "max(roc1_period, roc2_period) + wma_period - 1",
    lambda p: max(p["roc1_period"], p["roc2_period"]) + p["wma_period"] - 1,
)
SMI: Final = Lookback(
    "period + fast_period + slow_period + signal_period - 4",
    lambda p: p["period"] + p["fast_period"] + p["slow_period"] + p["signal_period"] - 4,
)
STOCH: Final = Lookback(
    "fastk_period + slowk_period + slowd_period - 3",
    lambda p: p["fastk_period"] + p["slowk_period"] + p["slowd_period"] - 3,
)
STOCHF: Final = Lookback("fastk_period + fastd_period - 2", lambda p: p["fastk_period"] + p["fastd_period"] - 2)
STOCHRSI: Final = Lookback(
    "period + fastk_period + fastd_period - 2", lambda p: p["period"] + p["fastk_period"] + p["fastd_period"] - 2
)
TRIX: Final = Lookback("3 * period - 2", lambda p: 3 * p["period"] - 2)
TSI: Final = Lookback("first_period + second_period - 1", lambda p: p["first_period"] + p["second_period"] - 1)
ULTOSC: Final = Lookback("max(period1, period2, period3)", lambda p: max(p["period1"], p["period2"], p["period3"]))

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("RSI", "Relative strength index", MOMENTUM, CLOSE, CONVERGING, PERIOD, (period(14),)),
    of_talib(
        "MACD",
        "Moving average convergence and divergence",
        MOMENTUM,
        CLOSE,
        CONVERGING,
        WITH_SIGNAL,
        (*FAST_SLOW, SIGNAL),
        MACD_LINES,
        constraints=ORDERED,
    ),
    of_talib("MACDFIX", "MACD of 12 and 26 bars", MOMENTUM, CLOSE, CONVERGING, FIXED, (SIGNAL,), MACD_LINES),
    of_talib(
        "PPO",
        "Percentage price oscillator",
        MOMENTUM,
        CLOSE,
        CONVERGING,
        BEFORE_SLOW,
        FAST_SLOW,
        constraints=ORDERED,
    ),
    of_talib(
        "APO", "Absolute price oscillator", MOMENTUM, CLOSE, CONVERGING, BEFORE_SLOW, FAST_SLOW, constraints=ORDERED
    ),
    of_talib(
        "PVO",
        "Percentage volume oscillator",
        Group.VOLUME,
        VOLUME,
        CONVERGING,
        BEFORE_SLOW,
        FAST_SLOW,
        constraints=ORDERED,
    ),
    Indicator(
        name="adx",
        title="Average directional movement index, with its two sides",
        group=MOMENTUM,
        inputs=HLC,
        parameters=(period(14),),
        outputs=("plus_di", "minus_di", "adx"),
        stability=CONVERGING,
        lookback_rule=ADX,
        formula=adx,
    ),
    of_talib("ADXR", "Average directional movement rating", MOMENTUM, HLC, CONVERGING, ADXR, (period(14),)),
    of_talib("DX", "Directional movement index", MOMENTUM, HLC, CONVERGING, PERIOD, (period(14),)),
    of_talib("PLUS_DI", "Plus directional indicator", MOMENTUM, HLC, CONVERGING, PERIOD, (period(14, 1),)),
    of_talib("MINUS_DI", "Minus directional indicator", MOMENTUM, HLC, CONVERGING, PERIOD, (period(14, 1),)),
    of_talib("PLUS_DM", "Plus directional movement", MOMENTUM, HL, CONVERGING, DM, (period(14, 1),)),
    of_talib("MINUS_DM", "Minus directional movement", MOMENTUM, HL, CONVERGING, DM, (period(14, 1),)),
    of_talib("STOCH", "Stochastic oscillator", MOMENTUM, HLC, WINDOW, STOCH, (FAST_K, *SLOW), ("slowk", "slowd")),
    of_talib(
        "STOCHF", "Fast stochastic oscillator", MOMENTUM, HLC, WINDOW, STOCHF, (FAST_K, FAST_D), ("fastk", "fastd")
    ),
    of_talib(
        "STOCHRSI",
        "Stochastic oscillator of the RSI",
        MOMENTUM,
        CLOSE,
        CONVERGING,
        STOCHRSI,
        (period(14), FAST_K, FAST_D),
        ("fastk", "fastd"),
    ),
    of_talib(
        "KDJ",
        "Stochastic oscillator with Wilder's averages",
        MOMENTUM,
        HLC,
        CONVERGING,
        STOCH,
        (period(9, 1, "fastk_period"), *SLOW),
        ("k", "d", "j"),
    ),
    of_talib("CCI", "Commodity channel index", MOMENTUM, HLC, WINDOW, BEFORE_PERIOD, (period(14),)),
    of_talib("MFI", "Money flow index", Group.VOLUME, HLCV, WINDOW, PERIOD, (period(14),)),
    of_talib("AROON", "Aroon", MOMENTUM, HL, WINDOW, PERIOD, (period(14),), ("aroondown", "aroonup")),
    of_talib("AROONOSC", "Aroon oscillator", MOMENTUM, HL, WINDOW, PERIOD, (period(14),)),
    of_talib("TRIX", "Rate of change of a triple EMA", MOMENTUM, CLOSE, CONVERGING, TRIX, (period(30, 1),)),
    of_talib("ROC", "Rate of change, percent", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(10, 1),)),
    of_talib("ROCP", "Rate of change, fraction", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(10, 1),)),
    of_talib("ROCR", "Ratio to an earlier price", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(10, 1),)),
    of_talib("ROCR100", "Ratio to an earlier price, percent", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(10, 1),)),
    of_talib("MOM", "Momentum", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(10, 1),)),
    of_talib("WILLR", "Williams %R", MOMENTUM, HLC, WINDOW, BEFORE_PERIOD, (period(14),)),
    of_talib(
        "ULTOSC",
        "Ultimate oscillator",
        MOMENTUM,
        HLC,
        WINDOW,
        ULTOSC,
        (period(7, 1, "period1"), period(14, 1, "period2"), period(28, 1, "period3")),
    ),
    of_talib("BOP", "Balance of power", MOMENTUM, OHLC, EXACT, NONE),
    of_talib("CMO", "Chande momentum oscillator, smoothed", MOMENTUM, CLOSE, CONVERGING, PERIOD, (period(14),)),
    of_talib("CMOU", "Chande momentum oscillator, plain sums", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(14),)),
    of_talib("AO", "Awesome oscillator", MOMENTUM, HL, WINDOW, BEFORE_SLOW, AWESOME, constraints=ORDERED),
    of_talib(
        "AC",
        "Accelerator oscillator",
        MOMENTUM,
        HL,
        WINDOW,
        WITH_SIGNAL,
        (*AWESOME, period(5, 2, "signal_period")),
        constraints=ORDERED,
    ),
    of_talib(
        "COPPOCK",
        "Coppock curve",
        MOMENTUM,
        CLOSE,
        WINDOW,
        COPPOCK,
        (period(10, 1, "wma_period"), period(11, 1, "roc1_period"), period(14, 1, "roc2_period")),
    ),
    of_talib("DPO", "Detrended price oscillator", MOMENTUM, CLOSE, WINDOW, DPO, (period(20),)),
    of_talib("ER", "Kaufman's efficiency ratio", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(10),)),
    of_talib(
        "ERI", "Elder ray", MOMENTUM, HLC, CONVERGING, BEFORE_PERIOD, (period(13, 1),), ("bullpower", "bearpower")
    ),
    of_talib("FOSC", "Forecast oscillator", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(5),)),
    of_talib("IMI", "Intraday momentum index", MOMENTUM, OC, WINDOW, BEFORE_PERIOD, (period(14),)),
    of_talib("QSTICK", "Qstick", MOMENTUM, OC, WINDOW, BEFORE_PERIOD, (period(10, 1),)),
    of_talib("SMI", "Stochastic momentum index", MOMENTUM, HLC, CONVERGING, SMI, SMI_PERIODS, ("smi", "smisignal")),
    of_talib(
        "TSI",
        "True strength index",
        MOMENTUM,
        CLOSE,
        CONVERGING,
        TSI,
        (period(25, 2, "first_period"), period(13, 2, "second_period")),
    ),
    of_talib("VHF", "Vertical horizontal filter", MOMENTUM, CLOSE, WINDOW, PERIOD, (period(28),)),
    of_talib("VORTEX", "Vortex indicator", MOMENTUM, HLC, WINDOW, PERIOD, (period(14, 1),), ("plusvi", "minusvi")),
)
