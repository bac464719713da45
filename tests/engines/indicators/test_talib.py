"""Entries of TA-Lib's against the wheel's abstract interface, which takes inputs and parameters by its own names."""

import numpy as np
import pytest
from talib import abstract
from tests.engines.indicators.cases import ENTRIES, parameters
from tests.engines.indicators.histories import SYMBOLS, random_bars, real, with_gaps

from luna_serving.engines.indicators.bars import COLUMNS, Bars
from luna_serving.engines.indicators.catalogue import Indicator
from luna_serving.engines.indicators.catalogue.talib_entry import talib_name
from luna_serving.engines.indicators.compute import compute

RENAMED = {"keltner": "KC"}
# Two columns of different instruments, or no function of TA-Lib's.
OTHERS = {"beta", "correl", "ichimoku", "pivot_points", "kalman_level", "kalman_trend", "kalman_beta"}
COVERED = [entry for entry in ENTRIES if entry.name not in OTHERS]


def answers(entry: Indicator, params, bars: Bars) -> list[np.ndarray]:
    """TA-Lib's outputs, where the inputs have no gap; NaN before the lookback."""
    columns = {name: column for name in COLUMNS if (column := bars.column(name)) is not None}
    whole = ~np.isnan(np.array([columns[name] for name in entry.inputs])).any(axis=0)
    # Other columns are never read.
    given = {name: np.nan_to_num(column[whole]) for name, column in columns.items()}
    function = abstract.Function(RENAMED.get(entry.name, entry.name.upper()))
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
    theirs = abstract.Function(RENAMED.get(entry.name, entry.name.upper())).parameters
    for parameter in entry.parameters:
        default = theirs[talib_name(parameter.name)]
        assert parameter.default == default
        assert (parameter.type == "integer") == isinstance(default, int)


@pytest.mark.parametrize("entry", COVERED, ids=lambda entry: entry.name)
def test_outputs_have_ta_lib_s_names(entry: Indicator) -> None:
    names = abstract.Function(RENAMED.get(entry.name, entry.name.upper())).output_names
    if len(names) > 1:
        assert list(entry.outputs) == names
    elif entry.name != "adx":
        assert entry.outputs == (entry.name,)
