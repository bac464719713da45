"""Bars, and expressions drawn at random from the whole grammar."""

import datetime as dt

import numpy as np
from hypothesis import strategies as st

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.expressions import Expression, parse

FIRST = dt.date(2020, 1, 1)
# One of each: free and fixed inputs, several outputs, two series, each class of stability.
INDICATORS = ("sma", "ema", "rsi", "macd", "bbands", "stddev", "atr", "stoch", "obv", "willr", "correl", "kama", "mom")


def bars_of(close: "list[float] | np.ndarray", **columns: "list[float] | np.ndarray") -> Bars:
    """Bars of one day each; columns that are not given are unknown."""
    days = np.datetime64(FIRST, "us") + np.arange(len(close)) * np.timedelta64(1, "D")
    given = {"close": close, **columns}
    return Bars(days, **{name: np.asarray(values, np.float64) for name, values in given.items()})


def walk(bars: int, seed: int = 0, gaps: float = 0.0) -> Bars:
    """A random walk with consistent highs and lows, some volumes zero, and a share of closes and volumes missing."""
    rng = np.random.default_rng([7, seed, bars])
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, bars)))
    opened = close * np.exp(rng.normal(0, 0.005, bars))
    high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, bars))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, bars))
    volume = np.floor(rng.uniform(0, 5, bars)) * 100
    for column in (close, volume):
        column[rng.uniform(size=bars) < gaps] = np.nan
    return bars_of(close, open=opened, high=high, low=low, volume=volume)


def call(name: str, *series: str, period: int) -> str:
    """A call of an indicator with small parameters; one output where it has several."""
    indicator = CATALOGUE[name]
    small = {"macd": (3, 6, 4), "bbands": (5,), "stoch": (5, 3, 3)}
    parameters = small.get(name, (period,) if indicator.parameters else ())
    arguments = ", ".join([*series, *map(str, parameters)])
    return f"{name}({arguments})" + (f".{indicator.outputs[-1]}" if len(indicator.outputs) > 1 else "")


def _numbers(conditions: st.SearchStrategy[str]):
    """How numbers are made of numbers."""

    def extend(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        literal = st.sampled_from(["0.5", "2", "100", "1e-3"])
        free = [each for each in INDICATORS if len(CATALOGUE[each].inputs) == 1 and not CATALOGUE[each].needs_benchmark]
        fixed = [each for each in INDICATORS if len(CATALOGUE[each].inputs) > 1]
        period = st.integers(2, 6)
        compared = st.builds("{} {} {}".format, numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers)
        crossed = st.builds("cross_{}({}, {})".format, st.sampled_from(["over", "under"]), numbers, numbers)
        condition = st.one_of(compared, crossed, conditions)
        joined = st.builds("not ({}) {} {}".format, condition, st.sampled_from(["and", "or"]), condition)
        return st.one_of(
            st.builds("({} {} {})".format, numbers, st.sampled_from("+-*/"), numbers | literal),
            st.builds("{} - {}".format, numbers, numbers).map("({})".format),
            numbers.map("-{}".format),
            st.builds("lag({}, {})".format, numbers, st.integers(0, 4)),
            st.builds("where({}, {}, {})".format, condition, numbers, numbers | literal),
            st.builds("where({}, {}, {})".format, joined, numbers, literal),
            st.builds(lambda name, x, n: call(name, x, period=n), st.sampled_from(free), numbers, period),
            st.builds(lambda name, n: call(name, period=n), st.sampled_from(fixed), period),
            st.builds(lambda x, y, n: call("correl", x, y, period=n), numbers, numbers, period),
        )

    return extend


def texts() -> st.SearchStrategy[str]:
    """Valid expressions, as text."""
    columns = st.sampled_from(["open", "high", "low", "close", "volume"])
    return st.recursive(columns, _numbers(st.just("close > open")), max_leaves=12)


def parsed(text: str) -> Expression:
    return parse(text, CATALOGUE)
