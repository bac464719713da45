"""Indicators against plain loops from their definitions, on real prices and on random ones with gaps."""

import pytest
from tests.engines.indicators.cases import parameters
from tests.engines.indicators.histories import SYMBOLS, random_bars, real, with_gaps
from tests.engines.indicators.oracle.judged import error_to_loop
from tests.engines.indicators.oracle.table import NAMES

from luna_serving.engines.indicators.catalogue import CATALOGUE

BOUND = 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_indicators_agree_with_their_definitions_on_real_prices(name: str) -> None:
    params = next(parameters(CATALOGUE[name]))
    for symbol in SYMBOLS:
        bars = real(symbol, 500)
        other = real("MSFT" if symbol != "MSFT" else "IBM", len(bars))
        assert error_to_loop(name, params, bars, other) < BOUND, symbol


@pytest.mark.parametrize("name", NAMES)
def test_indicators_agree_with_their_definitions_over_a_split(name: str) -> None:
    params = next(parameters(CATALOGUE[name]))
    # AAPL 2-for-1 on 2000-06-21, unadjusted: the 78th bar.
    assert error_to_loop(name, params, real("AAPL")[:200], real("IBM")[:200]) < BOUND


@pytest.mark.parametrize("name", NAMES)
def test_indicators_agree_with_their_definitions_for_any_parameters_and_gaps(name: str) -> None:
    bars, benchmark = random_bars(260, 1), random_bars(260, 2)
    holes = with_gaps(bars, 0.1, 3)
    for params in parameters(CATALOGUE[name]):
        assert error_to_loop(name, params, bars, benchmark) < BOUND, dict(params)
        assert error_to_loop(name, params, holes, benchmark) < BOUND, dict(params)
