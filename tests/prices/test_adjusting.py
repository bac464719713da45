"""Adjustment against a loop that is written from the definition, and its bounds on error."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest

from luna_serving.engines.indicators.bars import Bars
from luna_serving.prices.adjusting import adjusted
from luna_serving.prices.located import ActionKind, Adjust, CorporateAction

FIRST = date(2020, 1, 1)


def bars_of(closes: Sequence[float], volume: float = 1000.0) -> Bars:
    times = np.datetime64(FIRST, "us") + np.arange(len(closes)) * np.timedelta64(1, "D")
    close = np.array(closes, float)
    return Bars(times, close - 1, close + 2, close - 2, close, np.full(close.size, volume))


def split(day: int, ratio: float) -> CorporateAction:
    return CorporateAction(FIRST + timedelta(days=day), ActionKind.SPLIT, ratio)


def dividend(day: int, amount: float) -> CorporateAction:
    return CorporateAction(FIRST + timedelta(days=day), ActionKind.DIVIDEND, amount)


def by_the_book(closes: Sequence[float], actions: Sequence[CorporateAction], adjust: Adjust) -> list[Fraction]:
    """Adjusted closes, exactly: every earlier price is multiplied, action by action."""
    exact = [Fraction(close) for close in closes]
    factors = [Fraction(1)] * len(closes)
    for action in actions:
        day = (action.ex_date - FIRST).days
        if not 0 < day < len(closes):
            continue
        if action.kind is ActionKind.SPLIT:
            factor = 1 / Fraction(action.value)
        elif adjust is Adjust.ALL:
            factor = 1 - Fraction(action.value) / exact[day - 1]
        else:
            continue
        factors = [each * factor if i < day else each for i, each in enumerate(factors)]
    return [close * factor for close, factor in zip(exact, factors, strict=True)]


@pytest.mark.parametrize("adjust", [Adjust.SPLITS, Adjust.ALL])
@pytest.mark.parametrize("seed", range(5))
def test_adjusted_closes_are_those_of_the_definition(adjust: Adjust, seed: int) -> None:
    random = np.random.default_rng(seed)
    closes = np.round(50 * np.exp(np.cumsum(random.normal(0, 0.02, 400))), 2).tolist()
    days = random.choice(np.arange(-3, 410), 30, replace=False).tolist()
    actions = [
        split(day, float(random.choice([2, 3, 1.5, 0.1, 7]))) if i % 3 == 0 else dividend(day, 0.07 * (i + 1))
        for i, day in enumerate(days)
    ]
    found = adjusted(bars_of(closes), actions, adjust)
    assert found.close is not None
    exact = by_the_book(closes, actions, adjust)
    errors = [abs(Fraction(float(close)) / each - 1) for close, each in zip(found.close, exact, strict=True)]
    assert float(max(errors)) < (len(actions) + 2) * np.finfo(float).eps


def test_splits_change_volume_the_other_way_and_dividends_do_not() -> None:
    bars = bars_of([100, 100, 50, 50])
    found = adjusted(bars, [split(2, 2.0), dividend(1, 5.0)], Adjust.ALL)
    assert found.volume is not None
    np.testing.assert_array_equal(found.volume, [2000, 2000, 1000, 1000])
    assert found.close is not None
    np.testing.assert_array_equal(found.close, [47.5, 50, 50, 50])
    # High, low and open move with the close.
    assert found.high is not None
    np.testing.assert_array_equal(found.high, [102 / 2 * 0.95, 51, 52, 52])


def test_what_has_no_effect_changes_nothing() -> None:
    bars = bars_of([10, 11, 12])
    for actions, adjust in (
        ([], Adjust.ALL),
        ([split(1, 2.0)], Adjust.NONE),
        ([dividend(1, 1.0)], Adjust.SPLITS),
        ([split(0, 2.0), split(3, 2.0), split(-5, 2.0)], Adjust.ALL),
        ([dividend(1, 10.0)], Adjust.ALL),  # no price is left: the amount is wrong
    ):
        assert adjusted(bars, actions, adjust) is bars


def test_a_missing_close_before_the_ex_date_is_passed_over() -> None:
    bars = bars_of([100, float("nan"), 90])
    found = adjusted(bars, [dividend(2, 10.0)], Adjust.ALL)
    assert found.close is not None
    np.testing.assert_array_equal(found.close, [90, np.nan, 90])


def test_powers_of_two_cost_no_digit() -> None:
    closes = np.round(np.random.default_rng(0).uniform(1, 500, 300), 2).tolist()
    found = adjusted(bars_of(closes), [split(100, 2.0), split(200, 4.0), split(250, 0.5)], Adjust.SPLITS)
    assert found.close is not None
    factors = np.repeat([4.0, 2.0, 0.5, 1.0], [100, 100, 50, 50])
    np.testing.assert_array_equal(found.close * factors, closes)


def test_a_split_has_its_effect_from_the_first_bar_of_its_day() -> None:
    times = np.array(["2020-01-01T15:00", "2020-01-01T23:59", "2020-01-02T00:00", "2020-01-02T15:00"], "datetime64[us]")
    found = adjusted(Bars(times, close=np.full(4, 8.0)), [split(1, 2.0)], Adjust.SPLITS)
    assert found.close is not None
    np.testing.assert_array_equal(found.close, [4, 4, 8, 8])
    assert found.open is None
