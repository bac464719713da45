"""Short, flat, empty and extreme histories: nulls, never an exception or an infinity."""

import numpy as np
import pytest
from tests.engines.indicators.cases import ENTRIES, parameters
from tests.engines.indicators.histories import constant, days, random_bars

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, Indicator, checked
from luna_serving.engines.indicators.compute import InputMissing, compute

HISTORIES = {
    "empty": constant(0, 1.0, 1.0),
    "one bar": constant(1, 10.0, 100.0),
    "constant": constant(200, 10.0, 100.0),
    "without volume": constant(200, 10.0, 0.0),
    "zero": constant(200, 0.0, 0.0),
    "huge": constant(200, 1e100, 1e100),
    "tiny": constant(200, 1e-300, 1e-300),
    "jumps": Bars(days(200), *([np.tile([1e-12, 1e12], 100)] * 4), np.tile([0.0, 1e15], 100)),
    "negative": Bars(days(200), *([np.linspace(-5, 5, 200)] * 4), np.ones(200)),
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_history_gives_an_exception_or_an_infinity(entry: Indicator) -> None:
    for kind, bars in HISTORIES.items():
        for params in parameters(entry, 1):
            for benchmark in (bars, random_bars(200, 15)):
                for column in compute(entry, params, bars, benchmark=benchmark).values():
                    assert column.shape == bars.timestamps.shape, kind
                    assert column.dtype == np.float64, kind
                    assert not np.isinf(column).any(), kind


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_longest_periods_have_no_value_and_cost_nothing(entry: Indicator) -> None:
    longest = {each.name: each.max for each in entry.parameters if each.type == "integer"}
    shortened = {"fast_period": 99_999} if "slow_period" in longest and "fast_period" in longest else {}
    params = checked(entry, longest | shortened)
    got = compute(entry, params, random_bars(100, 16), benchmark=random_bars(100, 17))
    if longest:
        assert all(np.isnan(column).all() for column in got.values())


def test_a_column_that_is_missing_is_named() -> None:
    bars = Bars(days(3), close=np.ones(3))
    with pytest.raises(InputMissing) as refused:
        compute(CATALOGUE["obv"], {}, bars)
    assert refused.value.name == "volume"
    with pytest.raises(InputMissing) as refused:
        compute(CATALOGUE["beta"], {"period": 5}, bars)
    assert refused.value.name == "benchmark"


def test_only_the_inputs_of_an_indicator_are_needed() -> None:
    bars = Bars(days(3), close=np.array([1.0, 2.0, 3.0]))
    assert compute(CATALOGUE["sma"], {"period": 2}, bars)["sma"][1:].tolist() == [1.5, 2.5]


def test_inputs_are_not_changed_and_may_be_read_only() -> None:
    bars = random_bars(100, 18)
    before = {name: bars.column(name).copy() for name in ("open", "high", "low", "close", "volume")}
    for name in before:
        bars.column(name).flags.writeable = False
    for entry in ENTRIES:
        compute(entry, next(parameters(entry)), bars[3:], benchmark=bars)
    assert all(np.array_equal(bars.column(name), values) for name, values in before.items())


def test_a_benchmark_without_returns_determines_no_beta() -> None:
    entry = CATALOGUE["kalman_beta"]
    got = compute(entry, checked(entry, {}), random_bars(50, 19), benchmark=constant(50, 10.0, 1.0))
    assert all(np.isnan(column).all() for column in got.values())
