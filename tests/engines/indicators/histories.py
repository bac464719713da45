"""Histories that tests compute on: real prices, random ones with halts and splits, and those with gaps."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from bokeh_sampledata import stocks
from numpy.typing import NDArray

from luna_serving.engines.indicators.bars import COLUMNS, Bars

SYMBOLS: Final = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
DAY: Final = np.timedelta64(86_400_000_000, "us")


def real(symbol: str, bars: int | None = None) -> Bars:
    """Daily bars of bokeh's public-domain sample, unadjusted, the newest so many."""
    data = getattr(stocks, symbol)
    times = np.array(data["date"], dtype="datetime64[us]")
    columns = {name: np.array(data[name], dtype=np.float64) for name in COLUMNS}
    whole = Bars(times, **columns)
    return whole if bars is None else whole[len(whole) - bars :]


def random_bars(size: int, seed: int, *, halt: bool = True) -> Bars:
    """A random walk of cents with a split, and a halt: five bars at one price without volume."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, size)))
    open_ = close * np.exp(rng.normal(0, 0.01, size))
    high = np.maximum(open_, close) * np.exp(rng.exponential(0.005, size))
    low = np.minimum(open_, close) * np.exp(-rng.exponential(0.005, size))
    volume = np.floor(rng.lognormal(13, 1, size))
    columns = [open_, high, low, close]
    for column in columns:
        column[size // 2 :] /= 2
        if halt:
            column[size // 3 : size // 3 + 5] = close[size // 3]
    if halt:
        volume[size // 3 : size // 3 + 5] = 0
    prices = [np.round(column, 2) for column in columns]
    return Bars(days(size), *prices, volume)


def days(size: int) -> NDArray[np.datetime64]:
    return np.datetime64("2020-01-01", "us") + np.arange(size) * DAY


def with_gaps(bars: Bars, share: float, seed: int) -> Bars:
    """The bars with single cells and whole bars missing."""
    rng = np.random.default_rng(seed)
    lost = rng.random(len(bars)) < share
    columns = {}
    for name in COLUMNS:
        column = bars.column(name)
        assert column is not None
        columns[name] = np.where(lost | (rng.random(len(bars)) < share / 5), np.nan, column)
    return Bars(bars.timestamps, **columns)


def constant(size: int, price: float, volume: float) -> Bars:
    prices = [np.full(size, price) for _ in range(4)]
    return Bars(days(size), *prices, np.full(size, volume))


def inputs(bars: Bars, names: Sequence[str]) -> list[list[float]]:
    """Columns as plain lists."""
    return [column.tolist() for name in names if (column := bars.column(name)) is not None]
