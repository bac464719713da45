"""The peers: TA-Lib in a bare loop, and pandas-ta-classic, each on all cores."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np

from .workload import COLUMNS, Market, talib_loop


def pandas_ta_is_here() -> bool:
    """Whether the peer is installed (extra `bench`)."""
    return find_spec("pandas_ta_classic") is not None


def talib_seconds(market: Market, pool: ThreadPoolExecutor, threads: int) -> float:
    """TA-Lib over all symbols, in as many threads as there are cores: it gives up the interpreter's lock."""
    parts = np.array_split(np.arange(len(market.symbols)), threads)
    begun = time.perf_counter()
    list(pool.map(lambda part: talib_loop(market, part.tolist()), parts))
    return time.perf_counter() - begun


# Processes of the peer inherit it, so that no bar is sent to them.
_market: Market | None = None


@contextmanager
def pandas_ta(market: Market, processes: int, symbols: int) -> Iterator[Callable[[bool], float]]:
    """A function that runs pandas-ta-classic over the first so many symbols, and returns the seconds for all.

    Its argument says whether pandas-ta-classic may call TA-Lib, as it does by default where that is installed.
    pandas holds the interpreter's lock: there is a process per core, started and imported before anything is timed.
    """
    global _market  # noqa: PLW0603 - see above
    _market = market
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.map(_ten, [(0, False)] * (2 * processes))

        def run(talib: bool) -> float:
            begun = time.perf_counter()
            pool.map(_ten, [(i, talib) for i in range(symbols)], chunksize=8)
            return (time.perf_counter() - begun) * len(market.symbols) / symbols

        yield run
    _market = None


def _ten(asked: tuple[int, bool]) -> int:
    """The ten of one symbol; returns how many lines, since the lines themselves would have to be sent."""
    import pandas as pd
    import pandas_ta_classic as ta

    symbol, talib = asked
    assert _market is not None
    bars = pd.DataFrame({name: _market.values[name][symbol] for name in COLUMNS}, index=_market.days)
    close, of = bars["close"], (bars["high"], bars["low"], bars["close"])
    lines = (
        ta.sma(close, 20, talib=talib),
        ta.ema(close, 12, talib=talib),
        ta.rsi(close, 14, talib=talib),
        ta.macd(close, 12, 26, 9, talib=talib),
        ta.bbands(close, 20, 2, talib=talib),
        ta.atr(*of, 14, talib=talib),
        ta.cci(*of, 20, talib=talib),
        ta.mfi(*of, bars["volume"], 14, talib=talib),
        ta.obv(close, bars["volume"], talib=talib),
        ta.roc(close, 10, talib=talib),
    )
    return sum(each.shape[1] if each.ndim > 1 else 1 for each in lines)
