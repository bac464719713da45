"""Indicators of volume that do not stand under momentum."""

from typing import Final

from luna_serving.engines.indicators.catalogue.constraints import FAST_BEFORE_SLOW
from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Stability
from luna_serving.engines.indicators.catalogue.inputs import CV, HLC, HLCV, HLV, VOLUME
from luna_serving.engines.indicators.catalogue.lookbacks import BEFORE_PERIOD, BEFORE_SLOW, NONE, PERIOD
from luna_serving.engines.indicators.catalogue.talib_entry import of_talib, period
from luna_serving.engines.indicators.functions.volume_weighted import vwap

GROUP = Group.VOLUME
EXACT, WINDOW = Stability.EXACT, Stability.WINDOW
CONVERGING, CUMULATIVE = Stability.CONVERGING, Stability.CUMULATIVE

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("OBV", "On-balance volume", GROUP, CV, CUMULATIVE, NONE, takes_anchor=True),
    of_talib("AD", "Accumulation and distribution line", GROUP, HLCV, CUMULATIVE, NONE, takes_anchor=True),
    Indicator(
        name="vwap",
        title="Volume-weighted average price since the anchor",
        group=GROUP,
        inputs=HLCV,
        parameters=(),
        outputs=("vwap",),
        stability=CUMULATIVE,
        lookback_rule=NONE,
        formula=vwap,
        takes_anchor=True,
    ),
    of_talib("PVT", "Price and volume trend", GROUP, CV, CUMULATIVE, NONE, takes_anchor=True),
    of_talib("NVI", "Negative volume index", GROUP, CV, CUMULATIVE, NONE, takes_anchor=True),
    of_talib("PVI", "Positive volume index", GROUP, CV, CUMULATIVE, NONE, takes_anchor=True),
    of_talib("WAD", "Williams accumulation and distribution", GROUP, HLC, CUMULATIVE, NONE, takes_anchor=True),
    of_talib(
        "ADOSC",
        "Chaikin oscillator",
        GROUP,
        HLCV,
        CONVERGING,
        BEFORE_SLOW,
        (period(3, 2, "fast_period"), period(10, 2, "slow_period")),
        constraints=(FAST_BEFORE_SLOW,),
    ),
    of_talib("CMF", "Chaikin money flow", GROUP, HLCV, WINDOW, BEFORE_PERIOD, (period(20),)),
    of_talib("EFI", "Elder's force index", GROUP, CV, CONVERGING, PERIOD, (period(13, 1),)),
    of_talib("MARKETFI", "Market facilitation index", GROUP, HLV, EXACT, NONE),
    of_talib("RVOL", "Volume relative to its average", GROUP, VOLUME, WINDOW, PERIOD, (period(20, 1),)),
)
