"""Indicators against plain loops from their definitions, on real prices and on random ones with gaps."""

import numpy as np
import pytest
from tests.engines.indicators.cases import parameters
from tests.engines.indicators.histories import SYMBOLS, inputs, random_bars, real, with_gaps
from tests.engines.indicators.oracle.errors import relative_error
from tests.engines.indicators.oracle.table import NAMES, expected

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.compute import compute

BOUND = 1e-9


def error(name: str, params, bars: Bars, benchmark: Bars) -> float:
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


@pytest.mark.parametrize("name", NAMES)
def test_indicators_agree_with_their_definitions_on_real_prices(name: str) -> None:
    params = next(parameters(CATALOGUE[name]))
    for symbol in SYMBOLS:
        bars = real(symbol, 500)
        other = real("MSFT" if symbol != "MSFT" else "IBM", len(bars))
        assert error(name, params, bars, other) < BOUND, symbol


@pytest.mark.parametrize("name", NAMES)
def test_indicators_agree_with_their_definitions_over_a_split(name: str) -> None:
    params = next(parameters(CATALOGUE[name]))
    # AAPL 2-for-1 on 2000-06-21, unadjusted: the 78th bar.
    assert error(name, params, real("AAPL")[:200], real("IBM")[:200]) < BOUND


@pytest.mark.parametrize("name", NAMES)
def test_indicators_agree_with_their_definitions_for_any_parameters_and_gaps(name: str) -> None:
    bars, benchmark = random_bars(260, 1), random_bars(260, 2)
    holes = with_gaps(bars, 0.1, 3)
    for params in parameters(CATALOGUE[name]):
        assert error(name, params, bars, benchmark) < BOUND, dict(params)
        assert error(name, params, holes, benchmark) < BOUND, dict(params)
