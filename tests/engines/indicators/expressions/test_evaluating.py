"""Values: against plain loops, across gaps, and where there is none."""

import math

import numpy as np
import pytest
import talib
from tests.engines.indicators.expressions.making import bars_of, parsed, walk

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.compute import InputMissing
from luna_serving.engines.indicators.expressions import evaluate
from luna_serving.engines.indicators.gaps import Gaps

N = math.nan
ROWS = bars_of([1, 2, 0, 4, 5], open=[2, 2, 2, 2, 2], high=[N, 3, 3, 3, 3], low=[1, 1, 1, 1, N], volume=[0, 0, 1, 0, 2])


def values(text: str, bars: Bars = ROWS, gaps: Gaps = Gaps.SKIP) -> list[float]:
    return evaluate(parsed(text), bars, gaps=gaps).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("close", [1, 2, 0, 4, 5]),
        ("close + open * 2 - 1", [4, 5, 3, 7, 8]),
        ("-close", [-1, -2, 0, -4, -5]),
        ("1 / close", [1, 0.5, N, 0.25, 0.2]),
        ("close / volume", [N, N, 0, N, 2.5]),
        ("0 / volume", [N, N, 0, N, 0]),
        ("close * 1e308 * 10", [N, N, 0, N, N]),
        ("close + high", [N, 5, 3, 7, 8]),
        ("close > open", [0, 0, 0, 1, 1]),
        ("close >= open", [0, 1, 0, 1, 1]),
        ("close < 2", [1, 0, 1, 0, 0]),
        ("close <= 2", [1, 1, 1, 0, 0]),
        ("close == open", [0, 1, 0, 0, 0]),
        ("close != open", [1, 0, 1, 1, 1]),
        ("high > 2", [N, 1, 1, 1, 1]),
        ("high != 2", [N, 1, 1, 1, 1]),
        ("not high > 2", [N, 0, 0, 0, 0]),
        ("high > 2 and close > 1", [0, 1, 0, 1, 1]),
        ("high > 2 and close > 0", [N, 1, 0, 1, 1]),
        ("high > 5 or close > 0", [1, 1, 0, 1, 1]),
        ("high > 5 or close > 1", [N, 1, 0, 1, 1]),
        ("where(close > open, high, low)", [1, 1, 1, 3, 3]),
        ("where(high > 2, 1, 0)", [N, 1, 1, 1, 1]),
        ("where(volume > 0, close / volume, 7)", [7, 7, 0, 7, 2.5]),
        ("lag(close, 0)", [1, 2, 0, 4, 5]),
        ("lag(close, 2)", [N, N, 1, 2, 0]),
        ("lag(close, 5)", [N] * 5),
        ("lag(close, 50)", [N] * 5),
        ("lag(close > open, 1)", [N, 0, 0, 0, 1]),
        ("cross_over(close, open)", [N, 0, 0, 1, 0]),
        ("cross_over(close, 1)", [N, 1, 0, 1, 0]),
        ("cross_under(close, open)", [N, 0, 1, 0, 0]),
        ("sma(close, 2)", [N, 1.5, 1, 2, 4.5]),
        ("where(close > 0, 1, sma(close, 3))", [N, N, 1, 1, 1]),
        ("close < 9 or sma(close, 3) > 1", [N, N, 1, 1, 1]),
        ("close < 0 and sma(close, 3) > 1", [N, N, 0, 0, 0]),
    ],
)
def test_values_by_hand(text: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(values(text), expected)


def test_indicators_inside_have_talibs_values() -> None:
    bars = walk(200)
    close, volume = bars.close, bars.volume
    assert close is not None
    assert volume is not None
    macd, signal, _ = talib.MACD(close, 12, 26, 9)
    correlated = talib.CORREL(close, volume, 20)
    expected = {
        "ema(close, 12) - ema(close, 26)": talib.EMA(close, 12) - talib.EMA(close, 26),
        "ema(rsi(close, 14), 9)": np.r_[np.full(14, N), talib.EMA(talib.RSI(close, 14)[14:], 9)],
        "macd(close, 12, 26, 9).macd - macd(close).macdsignal": macd - signal,
        "close + 2 * atr(14)": close + 2 * talib.ATR(bars.high, bars.low, close, 14),
        "correl(close, volume, 20)": correlated,
    }
    for text, wanted in expected.items():
        np.testing.assert_allclose(values(text, bars), wanted, rtol=1e-12, err_msg=text)


@pytest.mark.parametrize(
    ("gaps", "lagged", "crossed"),
    [
        (Gaps.SKIP, [N, 1, N, 2, 4, 5], [N, 0, N, 1, 0, 0]),
        (Gaps.PROPAGATE, [N, 1, N, N, 4, 5], [N, 0, N, N, 0, 0]),
        (Gaps.RESTART, [N, 1, N, N, 4, 5], [N, 0, N, N, 0, 0]),
    ],
)
def test_lag_and_crossing_across_a_gap(gaps: Gaps, lagged: list[float], crossed: list[float]) -> None:
    bars = bars_of([1, 2, N, 4, 5, 6])
    np.testing.assert_array_equal(values("lag(close, 1)", bars, gaps), lagged)
    np.testing.assert_array_equal(values("cross_over(close, 3)", bars, gaps), crossed)


@pytest.mark.parametrize("gaps", list(Gaps))
def test_a_lag_is_the_one_of_momentum_across_gaps(gaps: Gaps) -> None:
    bars = walk(80, seed=3, gaps=0.1)
    np.testing.assert_allclose(values("close - lag(close, 3)", bars, gaps), values("mom(close, 3)", bars, gaps))


@pytest.mark.parametrize("gaps", list(Gaps))
def test_a_call_has_the_same_values_inside_and_alone(gaps: Gaps) -> None:
    bars = walk(120, seed=4, gaps=0.05)
    alone = np.array(values("ema(close, 5)", bars, gaps))
    inside = np.array(values("ema(close, 5) + 0 * volume", bars, gaps))
    whole = ~np.isnan(bars.volume)
    np.testing.assert_array_equal(inside[whole], alone[whole])
    assert np.isnan(inside[~whole]).all()


def test_warming_up_inside_is_no_gap() -> None:
    bars = walk(60)
    assert not np.isnan(values("ema(rsi(close, 14), 9)", bars, Gaps.PROPAGATE)[22:]).any()


def test_a_recursive_part_is_null_from_a_gap_on_if_gaps_propagate() -> None:
    close = walk(60).close.copy()
    close[30] = N
    found = np.isnan(values("ema(close, 5) - close", bars_of(close), Gaps.PROPAGATE))
    assert found.tolist() == [True] * 4 + [False] * 26 + [True] * 30


def test_a_division_by_zero_inside_is_a_gap_for_what_is_around() -> None:
    np.testing.assert_array_equal(values("sma(close / volume, 2)"), [N, N, N, N, 1.25])


def test_an_anchor_reaches_the_indicators_that_take_one() -> None:
    bars = walk(30)
    anchored = evaluate(parsed("vwap() + 0"), bars, anchor=bars.timestamps[10])
    assert np.isnan(anchored[:10]).all()
    assert not np.isnan(anchored[20:]).any()


def test_a_column_that_is_unknown_is_named() -> None:
    bars = bars_of([1.0, 2.0])
    for text in ("close + volume", "atr(1)", "sma(open, 2)"):
        with pytest.raises(InputMissing):
            evaluate(parsed(text), bars)


@pytest.mark.parametrize(
    "text", ["close + 1", "ema(close, 3)", "lag(close, 1)", "cross_over(close, 2)", "close > 1 and close > 2"]
)
@pytest.mark.parametrize("count", [0, 1])
def test_no_bars_and_one_bar(text: str, count: int) -> None:
    assert len(values(text, bars_of(np.ones(count)))) == count


def test_the_bars_are_not_changed_and_the_answer_is_not_a_view() -> None:
    bars = walk(20)
    before = bars.close.copy()
    answer = evaluate(parsed("close"), bars)
    answer[:] = 0
    np.testing.assert_array_equal(bars.close, before)


def test_equal_calls_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from luna_serving.engines.indicators.expressions import evaluating

    seen: list[str] = []
    whole = evaluating.compute

    def counted(indicator, *arguments, **named):
        seen.append(indicator.name)
        return whole(indicator, *arguments, **named)

    monkeypatch.setattr(evaluating, "compute", counted)
    values("macd(close).macd - macd(close).macdsignal + macd(close, 12, 26, 9).macdhist", walk(60))
    assert seen == ["macd"]
