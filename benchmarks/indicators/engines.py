"""Two engines side by side: TA-Lib per symbol on threads, and Polars expressions over one frame.

    python -m benchmarks.indicators.engines [--symbols 1000] [--bars 1260] [--rounds 5] [--markdown]

Both answer first, and must agree to a relative 1e-9, or nothing is timed. Then they take turns, `--rounds` times; the
table has medians. `bare` is TA-Lib in a loop on one thread: what the other columns are measured against.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import polars as pl
from benchmarks.indicators.polars_expressions import expressions
from benchmarks.indicators.universe import BARS, INDICATORS, SYMBOLS, universe
from benchmarks.machine import facts
from rich.console import Console
from rich.table import Table
from tests.engines.indicators.oracle.errors import relative_error

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.compute import Answer, Task, compute_many

THREADS: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BOUND: Final = 1e-9


def frame(market: Sequence[Bars]) -> pl.DataFrame:
    """One row per bar of each symbol."""
    columns = {
        name: np.concatenate([getattr(bars, name) for bars in market]) for name in ("high", "low", "close", "volume")
    }
    return pl.DataFrame({"symbol": np.repeat(np.arange(len(market)), len(market[0])), **columns})


def tasks(market: Sequence[Bars], names: Sequence[str]) -> list[Task]:
    """One task per symbol and indicator."""
    return [Task(CATALOGUE[name], INDICATORS[name], bars) for bars in market for name in names]


def bare(market: Sequence[Bars], names: Sequence[str]) -> None:
    """TA-Lib's functions, and nothing else."""
    for bars in market:
        columns = {name: getattr(bars, name) for name in ("high", "low", "close", "volume")}
        for name in names:
            entry = CATALOGUE[name]
            entry.formula([columns[each] for each in entry.inputs], INDICATORS[name])


def of_polars(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """All indicators in one query."""
    wanted = {
        f"{name}.{output}": line for name in names for output, line in expressions(name, INDICATORS[name]).items()
    }
    return rows.lazy().select(**wanted).collect()


def check(market: Sequence[Bars]) -> None:
    """Refuse to time engines that disagree."""
    names = list(INDICATORS)
    answers: list[Answer] = compute_many(tasks(market, names))
    theirs = of_polars(frame(market), names)
    for place, answer in enumerate(answers):
        symbol, name = place // len(names), names[place % len(names)]
        for output, column in answer.items():
            other = theirs[f"{name}.{output}"][symbol * len(column) : (symbol + 1) * len(column)].to_list()
            error = relative_error(column, other)
            if error > BOUND:
                raise SystemExit(f"{name}.{output} of symbol {symbol}: Polars is {error:.1e} off")


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measured(ways: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each way, taken in turns."""
    taken = [[seconds(way) for way in ways] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def compare(market: Sequence[Bars], names: Sequence[str], rounds: int, pool: ThreadPoolExecutor) -> list[float]:
    """Seconds: bare, one thread, threads, Polars."""
    rows, work = frame(market), tasks(market, names)
    ways: list[Callable[[], object]] = [
        lambda: bare(market, names),
        lambda: compute_many(work),
        lambda: compute_many(work, pool),
        lambda: of_polars(rows, names),
    ]
    return measured(ways, rounds)


def table(title: str, unit: float, rows: Sequence[tuple[str, list[float]]]) -> Table:
    """Times in a unit of seconds; Polars also over the threads."""
    shown = Table("indicator", "bare", "1 thread", f"{THREADS} threads", "Polars", "Polars ÷ threads", title=title)
    for name, times in rows:
        shown.add_row(name, *(f"{each / unit:.3g}" for each in times), f"{times[3] / times[2]:.1f}")
    return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--bars", type=int, default=BARS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    console = Console(width=120)
    for name, fact in facts(("ta-lib", "polars", "numpy")).items():
        console.print(f"{name}: {fact}")
    market = universe(options.symbols, options.bars)
    check(market[:20])
    groups = [*([name] for name in INDICATORS), list(INDICATORS)]
    with ThreadPoolExecutor(THREADS) as pool:
        for symbols, unit, word in ((market, 1e-3, "ms"), (market[:1], 1e-6, "µs")):
            rounds = options.rounds if len(symbols) > 1 else 20 * options.rounds
            rows = [
                (" ".join(names) if len(names) == 1 else "all", compare(symbols, names, rounds, pool))
                for names in groups
            ]
            console.print(table(f"{len(symbols)} symbols of {options.bars} bars, {word}", unit, rows))


if __name__ == "__main__":
    main()
