"""Ehlers' cycle indicators, by the Hilbert transform."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Stability
from luna_serving.engines.indicators.catalogue.inputs import CLOSE
from luna_serving.engines.indicators.catalogue.lookbacks import constant
from luna_serving.engines.indicators.catalogue.talib_entry import of_talib

GROUP, CONVERGING = Group.CYCLE, Stability.CONVERGING
SHORT: Final = constant(32)
LONG: Final = constant(63)

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("HT_DCPERIOD", "Dominant cycle's period", GROUP, CLOSE, CONVERGING, SHORT),
    of_talib("HT_DCPHASE", "Dominant cycle's phase", GROUP, CLOSE, CONVERGING, LONG),
    of_talib("HT_PHASOR", "Phasor components", GROUP, CLOSE, CONVERGING, SHORT, outputs=("inphase", "quadrature")),
    of_talib("HT_SINE", "Sine wave", GROUP, CLOSE, CONVERGING, LONG, outputs=("sine", "leadsine")),
    of_talib("HT_TRENDMODE", "Trend or cycle: 1 or 0", GROUP, CLOSE, CONVERGING, LONG),
)
