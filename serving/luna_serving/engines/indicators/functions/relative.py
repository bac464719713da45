"""An instrument against its benchmark. Columns: the instrument's close, the benchmark's close."""

from collections.abc import Sequence

import talib

from luna_serving.engines.indicators.bars import Column
from luna_serving.engines.indicators.formula import Params


def beta(columns: Sequence[Column], params: Params) -> Sequence[Column]:
    """Slope of the instrument's simple returns on the benchmark's over a window of returns.

    TA-Lib's BETA regresses its second series on its first, other than its documentation says.
    """
    close, benchmark = columns
    return [talib.BETA(benchmark, close, timeperiod=int(params["period"]))]


def correl(columns: Sequence[Column], params: Params) -> Sequence[Column]:
    """Pearson's correlation of the two closes (of prices, not of returns) over a window, as TA-Lib's CORREL."""
    close, benchmark = columns
    return [talib.CORREL(close, benchmark, timeperiod=int(params["period"]))]
