"""Entries of TA-Lib's against the wheel's abstract interface, which takes inputs and parameters by its own names."""

import numpy as np
import pytest
from tests.engines.indicators.cases import parameters
from tests.engines.indicators.histories import SYMBOLS, random_bars, real, with_gaps
from tests.engines.indicators.oracle.wheel import COVERED, answers, function_of

from luna_serving.engines.indicators.catalogue import Indicator
from luna_serving.engines.indicators.catalogue.talib_entry import talib_name
from luna_serving.engines.indicators.compute import compute


@pytest.mark.parametrize("entry", COVERED, ids=lambda entry: entry.name)
def test_entries_answer_what_ta_lib_answers(entry: Indicator) -> None:
    histories = [real(symbol) for symbol in SYMBOLS] + [with_gaps(random_bars(300, 4), 0.1, 5)]
    for bars in histories:
        for params in parameters(entry, 2):
            got = compute(entry, params, bars)
            want = answers(entry, params, bars)
            if entry.name == "adx":
                # Its sides are functions of their own, shown where it has a value.
                assert np.array_equal(got["adx"], want[0], equal_nan=True)
                continue
            for name, column in zip(entry.outputs, want, strict=True):
                assert np.array_equal(got[name], np.where(np.isinf(column), np.nan, column), equal_nan=True), name


@pytest.mark.parametrize("entry", COVERED, ids=lambda entry: entry.name)
def test_defaults_are_those_of_ta_lib(entry: Indicator) -> None:
    theirs = function_of(entry).parameters
    for parameter in entry.parameters:
        default = theirs[talib_name(parameter.name)]
        assert parameter.default == default
        assert (parameter.type == "integer") == isinstance(default, int)


@pytest.mark.parametrize("entry", COVERED, ids=lambda entry: entry.name)
def test_outputs_have_ta_lib_s_names(entry: Indicator) -> None:
    names = function_of(entry).output_names
    if len(names) > 1:
        assert list(entry.outputs) == names
    elif entry.name != "adx":
        assert entry.outputs == (entry.name,)
