"""Checks of parameters."""

import pytest
from tests.engines.indicators.cases import ENTRIES

from luna_serving.engines.indicators.catalogue import CATALOGUE, Indicator, ParameterInvalid, canonical, checked


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entries_are_consistent(entry: Indicator) -> None:
    assert entry.name == entry.name.lower()
    assert CATALOGUE[entry.name] is entry
    assert entry.title
    assert len(set(entry.outputs)) == len(entry.outputs) > 0
    params = checked(entry, {})
    assert dict(params) == {each.name: each.default for each in entry.parameters}
    assert entry.lookback(params) >= 0
    for each in entry.parameters:
        assert each.min <= each.default <= each.max


def test_the_catalogue_has_all_patterns_and_what_was_promised() -> None:
    assert sum(name.startswith("cdl") for name in CATALOGUE) == 61
    assert {
        *("sma", "ema", "wma", "dema", "tema", "kama", "rsi", "macd", "ppo", "bbands", "atr", "natr", "adx", "plus_di"),
        *("minus_di", "stoch", "stochrsi", "cci", "mfi", "obv", "ad", "adosc", "vwap", "aroon", "trix", "roc", "mom"),
        *("willr", "ultosc", "sar", "supertrend", "donchian", "keltner", "ichimoku", "linearreg", "stddev", "beta"),
        *("correl", "pivot_points", "kalman_level", "kalman_trend", "kalman_beta"),
    } <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("name", "given", "field"),
    [
        ("sma", {"length": 3}, "length"),
        ("obv", {"period": 3}, "period"),
        ("sma", {"period": 0}, "period"),
        ("sma", {"period": 100_001}, "period"),
        ("sma", {"period": -1}, "period"),
        ("sma", {"period": 2.5}, "period"),
        ("sma", {"period": "14"}, "period"),
        ("sma", {"period": True}, "period"),
        ("sma", {"period": None}, "period"),
        ("sma", {"period": float("nan")}, "period"),
        ("sma", {"period": float("inf")}, "period"),
        ("sma", {"period": 10**400}, "period"),
        ("bbands", {"nbdev_up": float("nan")}, "nbdev_up"),
        ("bbands", {"nbdev_up": [2]}, "nbdev_up"),
        ("macd", {"fast_period": 26, "slow_period": 12}, "fast_period"),
        ("ppo", {"fast_period": 26}, "fast_period"),
        ("sar", {"acceleration": 0.3}, "acceleration"),
        ("mama", {"slow_limit": 0.6}, "slow_limit"),
        ("kalman_level", {"obs_var": 0, "level_var": 0}, "obs_var"),
        ("kalman_level", {"level_var": -1.0}, "level_var"),
        ("kalman_level", {"level_var": 1e-200}, "level_var"),
    ],
)
def test_what_is_refused_is_named(name: str, given: dict[str, object], field: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        checked(CATALOGUE[name], given)
    assert refused.value.name == field
    assert refused.value.detail


@pytest.mark.parametrize(
    ("name", "given", "detail"),
    [
        ("rsi", {"period": "abc"}, "must be an integer from 2 to 100000"),
        ("rsi", {"period": 14.5}, "must be an integer from 2 to 100000, not 14.5"),
        ("rsi", {"period": -1}, "must be from 2 to 100000"),
        ("bbands", {"nbdev_up": None}, "must be a number from -3e+37 to 3e+37"),
        ("kalman_level", {"obs_var": -1}, "must be from 0 to 1000000000000"),
    ],
)
def test_what_is_refused_is_told_with_what_is_possible(name: str, given: dict[str, object], detail: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        checked(CATALOGUE[name], given)
    assert refused.value.detail == detail


def test_equal_parameters_have_one_canonical_form() -> None:
    macd = CATALOGUE["macd"]
    forms = {
        canonical(checked(macd, given))
        for given in ({}, {"signal_period": 9, "fast_period": 12}, {"fast_period": 12.0, "slow_period": 26})
    }
    assert forms == {"fast_period=12,signal_period=9,slow_period=26"}
    bands = CATALOGUE["bbands"]
    zeros = {canonical(checked(bands, {"nbdev_up": zero})) for zero in (0, 0.0, -0.0)}
    assert zeros == {"nbdev_dn=2.0,nbdev_up=0.0,period=20"}
    assert canonical(checked(CATALOGUE["obv"], {})) == ""
