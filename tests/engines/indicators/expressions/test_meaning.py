"""What expressions mean: precedence, kinds, arguments, canonical text, lookback, cost, indicators."""

import pytest
from tests.engines.indicators.expressions.making import parsed

from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.catalogue.entry import Stability
from luna_serving.engines.indicators.expressions import Fault, Limits, Reason, Span, canonical, indicators_of, parse
from luna_serving.engines.indicators.expressions.checking import RESERVED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ema(close, 12) - ema(close, 26)", "ema(close, period=12) - ema(close, period=26)"),
        ("ema(rsi(close,14),9)", "ema(rsi(close, period=14), period=9)"),
        ("macd(close).macdsignal", "macd(close, fast_period=12, slow_period=26, signal_period=9).macdsignal"),
        ("macd(close, 12, signal_period=5).macd", "macd(close, fast_period=12, slow_period=26, signal_period=5).macd"),
        ("rsi(close, 14).rsi", "rsi(close, period=14)"),
        ("atr(14)", "atr(period=14)"),
        ("atr(high, low, close, 14)", "atr(period=14)"),
        ("atr(high, low, close, period=14)", "atr(period=14)"),
        ("obv()", "obv()"),
        ("obv(close, volume)", "obv()"),
        ("correl(close, volume, 20)", "correl(close, volume, period=20)"),
        ("sma(volume, (20))", "sma(volume, period=20)"),
        ("close+open*high", "close + open * high"),
        ("(close+open)*high", "(close + open) * high"),
        ("close-(open-high)", "close - (open - high)"),
        ("(close-open)-high", "close - open - high"),
        ("close/(open*high)", "close / (open * high)"),
        ("-close*open", "-close * open"),
        ("-(close*open)", "-(close * open)"),
        ("--close", "--close"),
        ("close - -open", "close - -open"),
        ("((close))", "close"),
        ("close*2.50", "close * 2.5"),
        ("close*2.0", "close * 2"),
        ("close*1e3", "close * 1000"),
        ("close*1e300", "close * 1e+300"),
        ("close*0.1e-5", "close * 1e-06"),
        ("close>open and high>low or not close<=1", "close > open and high > low or not close <= 1"),
        ("close>1 and (high>2 or low>3)", "close > 1 and (high > 2 or low > 3)"),
        ("not (close>1 and high>2)", "not (close > 1 and high > 2)"),
        ("where(volume!=0,close/volume,0)", "where(volume != 0, close / volume, 0)"),
        ("cross_over(ema(close,3),100)", "cross_over(ema(close, period=3), 100)"),
        ("cross_under(close,open)", "cross_under(close, open)"),
        ("lag(close > open, 2)", "lag(close > open, 2)"),
        ("close\n  +\topen\r\n", "close + open"),
    ],
)
def test_the_canonical_text(text: str, expected: str) -> None:
    assert canonical(parsed(text)) == expected


def test_the_canonical_text_names_defaults_so_that_a_key_outlives_them() -> None:
    assert canonical(parsed("rsi(close)")) == canonical(parsed("rsi(close, 14)"))
    assert canonical(parsed("rsi(close, 13)")) != canonical(parsed("rsi(close, 14)"))


@pytest.mark.parametrize(
    ("text", "lookback"),
    [
        ("close", 0),
        ("close - open", 0),
        ("lag(close, 3)", 3),
        ("lag(close, 0)", 0),
        ("lag(lag(close, 3), 4)", 7),
        ("ema(close, 12) - ema(close, 26)", 25),
        ("ema(rsi(close, 14), 9)", 22),
        ("macd(close, 12, 26, 9).macdsignal", 33),
        ("cross_over(close, sma(close, 5))", 5),
        ("where(close > 1, close, sma(close, 5))", 4),
        ("close > 1 or sma(close, 5) > 1", 4),
        ("correl(lag(close, 10), sma(close, 5), 20)", 29),
        ("-lag(atr(14), 1)", 15),
    ],
)
def test_the_lookback_is_that_of_the_whole(text: str, lookback: int) -> None:
    assert parsed(text).lookback == lookback


@pytest.mark.parametrize(
    ("text", "stability"),
    [
        ("close / open", Stability.EXACT),
        ("lag(close, 1)", Stability.WINDOW),
        ("cross_over(close, open)", Stability.WINDOW),
        ("sma(close, 3) - close", Stability.WINDOW),
        ("sma(ema(close, 3), 3)", Stability.CONVERGING),
        ("where(close > 1, obv(), ema(close, 3))", Stability.CUMULATIVE),
    ],
)
def test_the_stability_is_that_of_the_least_stable_part(text: str, stability: Stability) -> None:
    assert parsed(text).stability is stability


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("close", {"close"}),
        ("atr(14)", {"high", "low", "close"}),
        ("sma(volume, 5) + open", {"volume", "open"}),
        ("correl(high, low, 5)", {"high", "low"}),
    ],
)
def test_the_columns_are_those_that_it_reads(text: str, columns: set[str]) -> None:
    assert parsed(text).columns == columns


def test_indicators_are_listed_with_their_first_place() -> None:
    text = "rsi(close, 14) + ema(rsi(close, 3), 9) - macd(close).macd + lag(close, 1)"
    found = indicators_of(parsed(text))
    assert dict(found) == {"rsi": Span(0, 14), "ema": Span(17, 21), "macd": Span(41, 16)}
    assert list(found) == ["rsi", "ema", "macd"]


def test_an_indicator_is_found_in_every_place() -> None:
    condition = "not sma(close, 2) > 1 and cross_under(ema(close, 2), wma(close, 2))"
    text = f"where({condition}, -lag(rsi(close, 2), 1), correl(mom(close, 2), close))"
    assert set(indicators_of(parsed(text))) == {"sma", "ema", "wma", "rsi", "correl", "mom"}


def test_equal_calls_cost_once() -> None:
    once = parsed("macd(close).macd")
    assert parsed("macd(close).macd - macd(close, 12, 26, 9).macdsignal").cost == once.cost + 1
    assert parsed("ema(close, 3) - ema(close, 4)").cost == 21
    assert parsed("ema(close, 1001) + 1").cost == 10 + 10 + 2


def test_expressions_are_equal_where_they_mean_the_same() -> None:
    assert parsed("( close )+ema(close , 30)") == parsed("close + ema(close)")
    assert parsed("close + open") != parsed("open + close")


def test_no_indicator_has_the_name_of_a_column_or_a_function() -> None:
    assert not RESERVED & CATALOGUE.keys()


@pytest.mark.parametrize(
    ("text", "limits", "offset"),
    [
        ("close + open", Limits(characters=5), 5),
        ("close + open", Limits(nodes=2), 6),
        ("close + -open", Limits(depth=2), 9),
        ("close + ema(close, 5)", Limits(lookback=3), 8),
        ("close + ema(close, 5)", Limits(cost=10), 0),
        ("close + 1.25", Limits(number_characters=3), 8),
    ],
)
def test_each_limit_is_felt(text: str, limits: Limits, offset: int) -> None:
    parsed(text)
    with pytest.raises(Fault) as caught:
        parse(text, CATALOGUE, limits)
    assert (caught.value.reason, caught.value.offset) == (Reason.LIMIT, offset)


def test_an_expression_at_the_limits_parses() -> None:
    parsed("close" + " + close" * 47)
    parsed("(" * 47 + "close" + ")" * 47)
    parsed("+".join(["sma(close, 20)"] * 40))


def test_what_an_expression_may_name_is_what_the_catalogue_holds() -> None:
    with pytest.raises(Fault, match="no function or indicator rsi"):
        parse("rsi(close, 14)", {"sma": CATALOGUE["sma"]})
    with pytest.raises(Fault, match="no function or indicator sma"):
        parse("sma(close, 14)", {})
