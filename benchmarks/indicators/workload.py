"""What is computed: seeded bars of many symbols, ten indicators, and what TA-Lib says of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import talib
from numpy.typing import NDArray

Column = NDArray[np.float64]
SEED: Final = 1978
COLUMNS: Final = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Indicator:
    """One of the ten: as Luna's clients ask for it, and as TA-Lib's do."""

    name: str
    params: Mapping[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    talib: Callable[..., Column | tuple[Column, ...]]


# Several groups, one to four inputs, one to three outputs. Parameters in the order of both.
TEN: Final = (
    Indicator("sma", {"period": 20}, ("close",), ("sma",), talib.SMA),
    Indicator("ema", {"period": 12}, ("close",), ("ema",), talib.EMA),
    Indicator("rsi", {"period": 14}, ("close",), ("rsi",), talib.RSI),
    Indicator(
        "macd",
        {"fast_period": 12, "slow_period": 26, "signal_period": 9},
        ("close",),
        ("macd", "macdsignal", "macdhist"),
        talib.MACD,
    ),
    Indicator("bbands", {"period": 20}, ("close",), ("upperband", "middleband", "lowerband"), talib.BBANDS),
    Indicator("atr", {"period": 14}, ("high", "low", "close"), ("atr",), talib.ATR),
    Indicator("cci", {"period": 20}, ("high", "low", "close"), ("cci",), talib.CCI),
    Indicator("mfi", {"period": 14}, ("high", "low", "close", "volume"), ("mfi",), talib.MFI),
    Indicator("obv", {}, ("close", "volume"), ("obv",), talib.OBV),
    Indicator("roc", {"period": 10}, ("close",), ("roc",), talib.ROC),
)


@dataclass(frozen=True, slots=True)
class Market:
    """Bars of many symbols, all on the same days."""

    symbols: tuple[str, ...]
    days: NDArray[np.datetime64]
    """[T]"""
    values: Mapping[str, NDArray[np.float64]]
    """By column [S, T]; each row contiguous, as TA-Lib wants it."""

    def inputs(self, indicator: Indicator, symbol: int) -> list[Column]:
        """What TA-Lib's function takes."""
        return [self.values[name][symbol] for name in indicator.inputs]

    def write(self, path: Path, symbols_per_group: int = 256) -> Path:
        """Write the bars as Parquet, sorted by symbol and day; a group of rows holds so many symbols."""
        schema = pa.schema(
            [("symbol", pa.dictionary(pa.int32(), pa.string())), ("timestamp", pa.timestamp("us", "UTC"))]
            + [(name, pa.float64()) for name in COLUMNS]
        )
        names = pa.array(self.symbols, pa.string())
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for first in range(0, len(self.symbols), symbols_per_group):
                group = slice(first, min(first + symbols_per_group, len(self.symbols)))
                codes = np.repeat(np.arange(group.start, group.stop, dtype=np.int32), len(self.days))
                days = np.tile(self.days, group.stop - group.start)
                columns = [
                    pa.DictionaryArray.from_arrays(codes, names),
                    pa.array(days, pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
                    *(pa.array(self.values[name][group].reshape(-1)) for name in COLUMNS),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        return path


def make_market(symbols: int, bars: int) -> Market:
    """Random walks with consistent highs and lows, cents as prices, whole numbers as volumes, weekdays as days."""
    rng = np.random.default_rng([SEED, symbols, bars])
    shape = (symbols, bars)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.015, shape), axis=1))
    opened = close * np.exp(rng.normal(0, 0.004, shape))
    high = np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, shape))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, shape))
    values = {
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": np.floor(rng.lognormal(13, 0.5, shape)),
    }
    days = np.busday_offset("1990-01-01", np.arange(bars), roll="forward").astype("datetime64[us]")
    return Market(tuple(f"B{i:05d}" for i in range(symbols)), days, values)


def talib_loop(market: Market, which: Sequence[int]) -> list[list[tuple[Column, ...]]]:
    """TA-Lib called symbol by symbol, indicator by indicator: what the answer must hold, and the limit of its speed.

    Returns the outputs by symbol and indicator.
    """
    return [[_outputs(each.talib(*market.inputs(each, i), *each.params.values())) for each in TEN] for i in which]


def _outputs(answer: Column | tuple[Column, ...]) -> tuple[Column, ...]:
    return answer if isinstance(answer, tuple) else (answer,)
