"""What a value may depend on: bars up to its own, and as many of them as its stability class says."""

import numpy as np
import pytest
from tests.engines.indicators.cases import ENTRIES, parameters
from tests.engines.indicators.histories import random_bars, real, with_gaps

from luna_serving.engines.indicators.catalogue import Indicator, Stability
from luna_serving.engines.indicators.compute import compute
from luna_serving.engines.indicators.gaps import Gaps

WINDOWED = [entry for entry in ENTRIES if not entry.stability.recursive]
CONVERGING = [entry for entry in ENTRIES if entry.stability is Stability.CONVERGING]
CUMULATIVE = [entry for entry in ENTRIES if entry.stability is Stability.CUMULATIVE]
FILTERS = {"kalman_level", "kalman_trend", "kalman_beta"}


@pytest.mark.parametrize("gaps", Gaps)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_value_knows_a_later_bar(entry: Indicator, gaps: Gaps) -> None:
    size = 120
    bars, benchmark = with_gaps(random_bars(size, 8), 0.03, 9), random_bars(size, 10)
    if gaps is Gaps.PROPAGATE:
        bars = random_bars(size, 8)
    params = next(parameters(entry))
    whole = compute(entry, params, bars, gaps=gaps, benchmark=benchmark)
    for t in range(0, size, 7 if entry.name in FILTERS else 1):
        until = compute(entry, params, bars[: t + 1], gaps=gaps, benchmark=benchmark[: t + 1])
        for name, column in until.items():
            # Filters cut long histories into pieces of other lengths: the last digit may differ.
            assert column[t] == pytest.approx(whole[name][t], rel=1e-12, abs=1e-12, nan_ok=True), (name, t)


@pytest.mark.parametrize("entry", WINDOWED, ids=lambda entry: entry.name)
def test_a_windowed_value_depends_on_its_lookback_alone(entry: Indicator) -> None:
    bars, benchmark = random_bars(300, 11), random_bars(300, 12)
    for params in parameters(entry, 2):
        lookback = entry.lookback(params)
        whole = compute(entry, params, bars, benchmark=benchmark)
        for t in range(lookback, 300, 13):
            window = compute(entry, params, bars[t - lookback : t + 1], benchmark=benchmark)
            for name, column in window.items():
                assert column[-1] == pytest.approx(whole[name][t], rel=1e-7, abs=1e-7, nan_ok=True), (
                    name,
                    t,
                    dict(params),
                )


@pytest.mark.parametrize("entry", CONVERGING, ids=lambda entry: entry.name)
def test_a_converging_value_depends_on_older_bars_and_forgets_them(entry: Indicator) -> None:
    bars, benchmark = real("IBM"), real("MSFT")
    params = next(parameters(entry))
    lookback = entry.lookback(params)
    whole = compute(entry, params, bars, benchmark=benchmark)
    near = compute(entry, params, bars[1000:], benchmark=benchmark)
    scale = {name: np.nanmax(np.abs(column)) for name, column in whole.items()}
    for name, column in near.items():
        assert abs(column[-1] - whole[name][-1]) < 1e-6 * scale[name]
    first = 1000 + lookback
    assert any(abs(column[lookback] - whole[name][first]) > 1e-9 * scale[name] for name, column in near.items()) or (
        entry.name in {"ht_trendmode", "supertrend"}
    )


@pytest.mark.parametrize("entry", CUMULATIVE, ids=lambda entry: entry.name)
def test_a_cumulative_value_counts_from_its_anchor(entry: Indicator) -> None:
    bars = real("IBM", 400)
    anchor = bars.timestamps[100]
    anchored = compute(entry, {}, bars, anchor=anchor)
    begun = compute(entry, {}, bars[100:])
    # Between two bars: the later one.
    between = compute(entry, {}, bars, anchor=anchor - np.timedelta64(1, "h"))
    assert entry.takes_anchor
    for name, column in anchored.items():
        assert np.isnan(column[:100]).all()
        assert np.array_equal(column[100:], begun[name])
        assert np.array_equal(column, between[name], equal_nan=True)
        assert column[-1] != compute(entry, {}, bars)[name][-1]
    after = compute(entry, {}, bars, anchor=bars.timestamps[-1] + np.timedelta64(1, "D"))
    assert all(np.isnan(column).all() for column in after.values())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_only_cumulative_indicators_take_an_anchor(entry: Indicator) -> None:
    assert entry.takes_anchor == (entry.stability is Stability.CUMULATIVE)


def test_rsi_of_a_window_is_not_the_rsi_of_the_history() -> None:
    """Why a window cuts output, never input."""
    bars = real("AAPL")
    (rsi,) = (entry for entry in ENTRIES if entry.name == "rsi")
    params = next(parameters(rsi))
    whole = compute(rsi, params, bars)["rsi"][-1]
    spare = {n: abs(compute(rsi, params, bars[len(bars) - 15 - n :])["rsi"][-1] - whole) for n in (1, 14, 150)}
    assert spare[1] > 1
    assert spare[150] < 1e-3
