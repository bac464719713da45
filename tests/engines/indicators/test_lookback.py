"""How many bars come before the first value."""

from math import isqrt

import numpy as np
import pytest
from talib import abstract
from tests.engines.indicators.cases import ENTRIES, parameters
from tests.engines.indicators.histories import random_bars
from tests.engines.indicators.test_talib import COVERED, RENAMED

from luna_serving.engines.indicators.catalogue import Indicator
from luna_serving.engines.indicators.catalogue.talib_entry import talib_name
from luna_serving.engines.indicators.compute import compute

# Without a halt: a volume relative to an average of nothing has no value.
BARS, BENCHMARK = random_bars(400, 6, halt=False), random_bars(400, 7)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_leading_nulls_number_the_lookback_and_no_null_follows(entry: Indicator) -> None:
    for params in parameters(entry, 4):
        lookback = entry.lookback(params)
        for name, column in compute(entry, params, BARS, benchmark=BENCHMARK).items():
            assert np.isnan(column[:lookback]).all(), (name, dict(params))
            assert not np.isnan(column[lookback:]).any(), (name, dict(params))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_history_as_long_as_the_lookback_has_no_value_and_one_bar_more_has_one(entry: Indicator) -> None:
    params = next(parameters(entry))
    lookback = entry.lookback(params)
    for size, values in ((lookback, 0), (lookback + 1, 1)):
        for column in compute(entry, params, BARS[:size], benchmark=BENCHMARK).values():
            assert (~np.isnan(column)).sum() == values


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_rule_in_words_is_the_rule_in_code(entry: Indicator) -> None:
    for params in parameters(entry, 4):
        words = {"max": max, "isqrt": isqrt, "__builtins__": {}}
        assert eval(entry.lookback_rule.rule, words, dict(params)) == entry.lookback(params)


@pytest.mark.parametrize("entry", COVERED, ids=lambda entry: entry.name)
def test_lookbacks_are_those_of_ta_lib(entry: Indicator) -> None:
    for params in parameters(entry, 4):
        function = abstract.Function(RENAMED.get(entry.name, entry.name.upper()))
        function.parameters = {talib_name(name): value for name, value in params.items()}
        assert entry.lookback(params) == function.lookback, dict(params)
