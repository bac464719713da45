"""One price out of a bar's four, and candles made smooth."""

from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Stability
from luna_serving.engines.indicators.catalogue.inputs import HL, HLC, OHLC
from luna_serving.engines.indicators.catalogue.lookbacks import NONE
from luna_serving.engines.indicators.catalogue.talib_entry import of_talib

GROUP, EXACT = Group.PRICE, Stability.EXACT

ENTRIES: Final[tuple[Indicator, ...]] = (
    of_talib("AVGPRICE", "Mean of open, high, low and close", GROUP, OHLC, EXACT, NONE),
    of_talib("MEDPRICE", "Mean of high and low", GROUP, HL, EXACT, NONE),
    of_talib("TYPPRICE", "Typical price: mean of high, low and close", GROUP, HLC, EXACT, NONE),
    of_talib("WCLPRICE", "Mean of high, low and twice the close", GROUP, HLC, EXACT, NONE),
    of_talib(
        "HA",
        "Heikin-Ashi candles",
        GROUP,
        OHLC,
        Stability.CONVERGING,
        NONE,
        outputs=("haopen", "hahigh", "halow", "haclose"),
    ),
)
