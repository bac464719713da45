"""How widely prices range."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Lookback, Stability
from luna_serving.engines.indicators.catalogue.inputs import CLOSE, HL, HLC
from luna_serving.engines.indicators.catalogue.lookbacks import BEFORE_PERIOD, ONE, PERIOD
from luna_serving.engines.indicators.catalogue.talib_entry import of_talib, period

GROUP, WINDOW, CONVERGING = Group.VOLATILITY, Stability.WINDOW, Stability.CONVERGING
CVI: Final = Lookback("period + roc_period - 1", lambda p: p["period"] + p["roc_period"] - 1)
MASSI: Final = Lookback("2 * fast_period + slow_period - 3", lambda p: 2 * p["fast_period"] + p["slow_period"] - 3)
RVI: Final = Lookback("period + stddev_period - 2", lambda p: p["period"] + p["stddev_period"] - 2)

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("TRANGE", "True range", GROUP, HLC, WINDOW, ONE),
    of_talib("ATR", "Average true range", GROUP, HLC, CONVERGING, PERIOD, (period(14, 1),)),
    # TA-Lib takes a period of 1, too, but forgets to divide by the close there.
    of_talib("NATR", "Average true range, percent of the close", GROUP, HLC, CONVERGING, PERIOD, (period(14),)),
    of_talib("ADR", "Average range of a bar", GROUP, HL, WINDOW, BEFORE_PERIOD, (period(14, 1),)),
    of_talib("CVI", "Chaikin's volatility", GROUP, HL, CONVERGING, CVI, (period(10), period(10, 1, "roc_period"))),
    of_talib(
        "MASSI",
        "Mass index",
        GROUP,
        HL,
        CONVERGING,
        MASSI,
        (period(9, 2, "fast_period"), period(25, 2, "slow_period")),
    ),
    of_talib(
        "RVI",
        "Relative volatility index",
        GROUP,
        CLOSE,
        CONVERGING,
        RVI,
        (period(14, 1), period(10, 2, "stddev_period")),
    ),
)
