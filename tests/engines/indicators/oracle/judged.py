"""The engine's answer held against a loop's."""

from collections.abc import Mapping

import numpy as np
from tests.engines.indicators.histories import inputs
from tests.engines.indicators.oracle.errors import relative_error
from tests.engines.indicators.oracle.table import expected

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.compute import compute


def error_to_loop(name: str, params: Mapping[str, int | float], bars: Bars, benchmark: Bars) -> float:
    """The largest error over outputs, bars with a gap left out of the loop's history."""
    indicator = CATALOGUE[name]
    got = compute(indicator, params, bars, benchmark=benchmark)
    columns = inputs(bars, indicator.inputs) + (
        inputs(benchmark, indicator.inputs) if indicator.needs_benchmark else []
    )
    whole = ~np.isnan(np.array(columns)).any(axis=0)
    want = expected(indicator, params, [np.array(column)[whole].tolist() for column in columns])
    assert all(np.isnan(column[~whole]).all() for column in got.values())
    return max(relative_error(got[output][whole], want[output]) for output in indicator.outputs)
