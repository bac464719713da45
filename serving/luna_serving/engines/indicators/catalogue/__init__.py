"""The table of all indicators.

One module per group of TA-Lib's, with `level` and `state_space` of our own. An entry whose formula is a function of
TA-Lib is a row of its module; `talib_entry` makes it. To add an indicator is to add a row (and, if TA-Lib does not have
it, a formula in `functions`); tests then hold it to its lookback, its stability class and the absence of look-ahead.

Left out of TA-Lib's functions: arithmetic on columns and elementary functions, which expressions write themselves;
MAXINDEX and its kin, whose values are places in an array; MA, MACDEXT and MAVP, which choose among averages; SAREXT.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from luna_serving.engines.indicators.catalogue import (
    cycle,
    level,
    momentum,
    overlap,
    pattern,
    price,
    state_space,
    statistic,
    volatility,
    volume,
)
from luna_serving.engines.indicators.catalogue.entry import Group, Indicator, Lookback, Parameter, Stability
from luna_serving.engines.indicators.catalogue.parameters import ParameterInvalid, canonical, checked

__all__ = [
    "CATALOGUE",
    "Group",
    "Indicator",
    "Lookback",
    "Parameter",
    "ParameterInvalid",
    "Stability",
    "canonical",
    "checked",
]

ROOMS: Final = (overlap, momentum, volume, volatility, price, cycle, statistic, level, state_space, pattern)
CATALOGUE: Final[Mapping[str, Indicator]] = MappingProxyType(
    {entry.name: entry for room in ROOMS for entry in room.ENTRIES}
)
