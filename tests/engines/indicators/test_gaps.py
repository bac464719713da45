"""The three ways to treat gaps, for every entry, against plain cuts of the history."""

import numpy as np
import pytest
import talib
from tests.engines.indicators.cases import ENTRIES, parameters
from tests.engines.indicators.histories import random_bars

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, Indicator
from luna_serving.engines.indicators.compute import compute
from luna_serving.engines.indicators.gaps import Gaps

BARS, BENCHMARK = random_bars(300, 13), random_bars(300, 14)
# Bars 0 and 1, one in the middle, two together.
LOST = np.array([0, 1, 140, 200, 201])
STRETCHES = (slice(2, 140), slice(141, 200), slice(202, 300))


def lacking(bars: Bars, column: str) -> Bars:
    values = bars.column(column).copy()
    values[LOST] = np.nan
    return bars.with_column(column, values)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_skipped_bar_is_as_if_it_had_never_been(entry: Indicator) -> None:
    params = next(parameters(entry))
    kept = np.delete(np.arange(300), LOST)
    shorter = [
        Bars(bars.timestamps[kept], *(bars.column(name)[kept] for name in ("open", "high", "low", "close", "volume")))
        for bars in (BARS, BENCHMARK)
    ]
    want = compute(entry, params, shorter[0], benchmark=shorter[1])
    for column in entry.inputs:
        got = compute(entry, params, lacking(BARS, column), benchmark=BENCHMARK)
        for name, values in got.items():
            assert np.isnan(values[LOST]).all()
            assert np.array_equal(values[kept], want[name], equal_nan=True)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_restart_begins_a_history(entry: Indicator) -> None:
    params = next(parameters(entry))
    got = compute(entry, params, lacking(BARS, entry.inputs[-1]), gaps=Gaps.RESTART, benchmark=BENCHMARK)
    for part in STRETCHES:
        want = compute(entry, params, BARS[part], benchmark=BENCHMARK[part])
        for name, values in got.items():
            assert np.array_equal(values[part], want[name], equal_nan=True)
    assert all(np.isnan(values[LOST]).all() for values in got.values())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_gap_propagates_while_it_is_in_the_window_or_for_ever(entry: Indicator) -> None:
    params = next(parameters(entry))
    lookback = entry.lookback(params)
    got = compute(entry, params, lacking(BARS, entry.inputs[0]), gaps=Gaps.PROPAGATE, benchmark=BENCHMARK)
    for name, values in got.items():
        for t in range(300):
            window = range(0 if entry.stability.recursive else max(t - lookback, 0), t + 1)
            # History begins after the gaps at its start.
            null = t < 2 + lookback or any(gap in window for gap in LOST[2:])
            assert np.isnan(values[t]) == null, (name, t)


@pytest.mark.parametrize("gaps", Gaps)
@pytest.mark.parametrize("name", ["sma", "rsi", "obv", "beta", "kalman_beta", "cdldoji"])
def test_bars_that_are_all_gaps_have_no_value(name: str, gaps: Gaps) -> None:
    entry = CATALOGUE[name]
    bars = BARS.with_column("close", np.full(300, np.nan))
    got = compute(entry, next(parameters(entry)), bars, gaps=gaps, benchmark=BENCHMARK)
    assert all(np.isnan(values).all() for values in got.values())


def test_a_bar_that_the_benchmark_lacks_is_a_gap() -> None:
    entry = CATALOGUE["correl"]
    params = next(parameters(entry))
    kept = np.delete(np.arange(300), [150])
    benchmark = Bars(BENCHMARK.timestamps[kept], close=BENCHMARK.close[kept])
    got = compute(entry, params, BARS, benchmark=benchmark)["correl"]
    assert np.isnan(got[150])
    want = compute(entry, params, Bars(BARS.timestamps[kept], close=BARS.close[kept]), benchmark=benchmark)["correl"]
    assert np.array_equal(got[kept], want, equal_nan=True)


def test_ta_lib_itself_answers_wrongly_after_a_gap() -> None:
    """The reason that no NaN may reach it."""
    close = BARS.close.copy()
    close[140] = np.nan
    bare = talib.RSI(close, 14)
    got = compute(CATALOGUE["rsi"], {"period": 14}, BARS.with_column("close", close))["rsi"]
    assert not np.isfinite(bare[141:]).all() or (bare[141:] == 0).all()
    assert np.isnan(got[140])
    assert (got[141:] > 0).all()
