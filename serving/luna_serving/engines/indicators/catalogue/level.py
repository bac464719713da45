"""Levels and turning points drawn from highs and lows."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Lookback, Stability
from luna_serving.engines.indicators.catalogue.inputs import HL, HLC
from luna_serving.engines.indicators.catalogue.lookbacks import ONE
from luna_serving.engines.indicators.catalogue.talib_entry import of_talib, period
from luna_serving.engines.indicators.functions.levels import ichimoku, pivot_points

GROUP, WINDOW = Group.LEVEL, Stability.WINDOW
ICHIMOKU: Final = Lookback(
    "max(tenkan_period, kijun_period, senkou_b_period) + displacement - 2",
    lambda p: max(p["tenkan_period"], p["kijun_period"], p["senkou_b_period"]) + p["displacement"] - 2,
)
FRACTAL: Final = Lookback("left_bars + right_bars", lambda p: p["left_bars"] + p["right_bars"])

ENTRIES: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="ichimoku",
        title="Ichimoku cloud; chikou stays at its own bar",
        group=GROUP,
        inputs=HLC,
        parameters=(
            period(9, 1, "tenkan_period"),
            period(26, 1, "kijun_period"),
            period(52, 1, "senkou_b_period"),
            period(26, 1, "displacement"),
        ),
        outputs=("tenkan", "kijun", "senkou_a", "senkou_b", "chikou"),
        stability=WINDOW,
        lookback_rule=ICHIMOKU,
        formula=ichimoku,
    ),
    Indicator(
        name="pivot_points",
        title="Floor pivot points of the bar before",
        group=GROUP,
        inputs=HLC,
        parameters=(),
        outputs=("pivot", "r1", "r2", "r3", "s1", "s2", "s3"),
        stability=WINDOW,
        lookback_rule=ONE,
        formula=pivot_points,
    ),
    of_talib(
        "FRACTAL",
        "Swing highs and lows, at the bar that confirms them",
        GROUP,
        HL,
        WINDOW,
        FRACTAL,
        (period(2, 1, "left_bars"), period(2, 1, "right_bars")),
        ("swinghigh", "swinglow"),
    ),
)
