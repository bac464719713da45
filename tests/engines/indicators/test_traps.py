"""Where libraries differ, and silently."""

import numpy as np
import pytest
import talib
from tests.engines.indicators.histories import constant, days, random_bars

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute


def value(name: str, bars: Bars, **params: float) -> dict[str, np.ndarray]:
    entry = CATALOGUE[name]
    return dict(compute(entry, checked(entry, params), bars))


def test_bollinger_bands_are_of_20_bars_and_population_deviations() -> None:
    close = np.arange(1.0, 22.0) ** 2
    bands = value("bbands", Bars(days(21), close=close))
    assert np.isnan(bands["upperband"][18])
    half = 2 * np.std(close[1:], ddof=0)
    assert bands["upperband"][20] - bands["middleband"][20] == pytest.approx(half, rel=1e-12)


def test_stddev_is_of_the_population() -> None:
    close = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert value("stddev", Bars(days(5), close=close))["stddev"][4] == pytest.approx(np.std(close), rel=1e-12)


def test_an_ema_is_seeded_with_an_average() -> None:
    got = value("ema", Bars(days(4), close=np.array([1.0, 2.0, 6.0, 10.0])), period=3)["ema"]
    assert got[2:].tolist() == [3.0, 6.5]


def test_on_balance_volume_begins_with_the_first_volume() -> None:
    bars = Bars(days(3), close=np.array([1.0, 2.0, 1.5]), volume=np.array([10.0, 5.0, 3.0]))
    assert value("obv", bars)["obv"].tolist() == [10.0, 15.0, 12.0]


def test_average_true_range_leaves_the_first_bar_out() -> None:
    high, low = np.array([100.0, 3.0, 3.0]), np.array([1.0, 1.0, 1.0])
    bars = Bars(days(3), high=high, low=low, close=np.array([2.0, 2.0, 2.0]))
    assert value("atr", bars, period=2)["atr"].tolist()[2] == 2.0


def test_oscillators_of_a_flat_series_are_zero() -> None:
    bars = constant(50, 10.0, 5.0)
    assert value("rsi", bars)["rsi"][-1] == 0.0
    assert value("stoch", bars)["slowk"][-1] == 0.0
    assert value("cci", bars)["cci"][-1] == 0.0


def test_a_volume_weighted_price_is_null_until_something_is_traded() -> None:
    bars = constant(4, 10.0, 1.0).with_column("volume", np.array([0.0, 0.0, 5.0, 0.0]))
    got = value("vwap", bars)["vwap"]
    assert np.isnan(got[:2]).all()
    assert got[2:].tolist() == [10.0, 10.0]


def test_beta_regresses_the_instrument_on_the_benchmark() -> None:
    market = random_bars(60, 20)
    returns = np.diff(market.close) / market.close[:-1]
    close = 50 * np.concatenate([[1.0], np.cumprod(1 + 2 * returns)])
    entry = CATALOGUE["beta"]
    got = compute(entry, checked(entry, {}), Bars(market.timestamps, close=close), benchmark=market)["beta"]
    assert got[-1] == pytest.approx(2.0, rel=1e-9)


def test_a_cloud_does_not_look_ahead() -> None:
    bars = random_bars(120, 21)
    got = value("ichimoku", bars)
    back = 119 - 25
    middle = (bars.high[back - 51 : back + 1].max() + bars.low[back - 51 : back + 1].min()) / 2
    assert got["senkou_b"][119] == pytest.approx(middle, rel=1e-15)
    assert got["chikou"][119] == bars.close[119]


def test_settings_of_the_process_stay_as_they_are() -> None:
    periods = {name: talib.get_unstable_period(name) for name in ("EMA", "RSI", "ATR", "ADX")}
    bars = random_bars(100, 22)
    for entry in CATALOGUE.values():
        compute(entry, checked(entry, {}), bars, benchmark=bars)
    assert periods == {name: talib.get_unstable_period(name) for name in periods}
    assert talib.get_compatibility() == 0
