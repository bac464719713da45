"""TA-Lib by the wheel's abstract interface, which takes inputs and parameters by its own names."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from talib import abstract
from tests.engines.indicators.cases import ENTRIES

from luna_serving.engines.indicators.bars import COLUMNS, Bars
from luna_serving.engines.indicators.catalogue import Indicator
from luna_serving.engines.indicators.catalogue.talib_entry import talib_name

RENAMED: Final = {"keltner": "KC"}
# Two columns of different instruments, or no function of TA-Lib's.
OTHERS: Final = {"beta", "correl", "ichimoku", "pivot_points", "kalman_level", "kalman_trend", "kalman_beta"}
COVERED: Final = [entry for entry in ENTRIES if entry.name not in OTHERS]


def function_of(entry: Indicator) -> abstract.Function:
    return abstract.Function(RENAMED.get(entry.name, entry.name.upper()))


def answers(entry: Indicator, params: Mapping[str, int | float], bars: Bars) -> list[NDArray[np.float64]]:
    """TA-Lib's outputs, where the inputs have no gap; NaN before the lookback."""
    columns = {name: column for name in COLUMNS if (column := bars.column(name)) is not None}
    whole = ~np.isnan(np.array([columns[name] for name in entry.inputs])).any(axis=0)
    # Other columns are never read.
    given = {name: np.nan_to_num(column[whole]) for name, column in columns.items()}
    function = function_of(entry)
    if entry.name == "pvo":
        function.input_names = {"prices": ["volume"]}
    function.parameters = {talib_name(name): value for name, value in params.items()}
    output = function(given)
    outputs = []
    for values in output if isinstance(output, list) else [output]:
        column = np.full(len(bars), np.nan)
        known = values.astype(float)
        known[: function.lookback] = np.nan
        column[whole] = known
        outputs.append(column)
    return outputs
