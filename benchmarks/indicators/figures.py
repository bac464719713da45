"""The largest error of each indicator, written into docs/indicator-catalogue.md.

    python -m benchmarks.indicators.figures

References are loops in plain Python from the definitions (tests/engines/indicators/oracle) where there is one, and the
ta-lib wheel by its abstract interface elsewhere. Errors are rounded up to a power of ten, so that another machine's
rounding changes no line. `tests/engines/indicators` holds all of them below 1e-9.
"""

import re
from collections.abc import Sequence
from math import ceil, log10
from pathlib import Path
from typing import Final

import numpy as np
from tests.engines.indicators.cases import parameters
from tests.engines.indicators.histories import SYMBOLS, random_bars, real, with_gaps
from tests.engines.indicators.oracle.errors import relative_error
from tests.engines.indicators.oracle.judged import error_to_loop
from tests.engines.indicators.oracle.table import NAMES
from tests.engines.indicators.oracle.wheel import COVERED, answers

from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, Group, Indicator
from luna_serving.engines.indicators.compute import compute
from luna_serving.engines.statespace.api.compute import configure_jax

PAGE: Final = Path(__file__).parents[2] / "docs" / "indicator-catalogue.md"
BEGIN, END = "<!-- errors: python -m benchmarks.indicators.figures -->", "<!-- end of errors -->"
LENGTH: Final = 800
"""Bars per history: the loops take seconds for more."""


def error_to_wheel(entry: Indicator, bars: Bars) -> float:
    """The largest error over an entry's outputs, of its defaults."""
    params = next(parameters(entry))
    got = compute(entry, params, bars)
    # TA-Lib's ADX is the last line of ours.
    names = entry.outputs[-1:] if entry.name == "adx" else entry.outputs
    columns = answers(entry, params, bars)
    return max(
        relative_error(got[name], [None if np.isnan(value) or np.isinf(value) else value for value in column])
        for name, column in zip(names, columns, strict=True)
    )


def errors(entry: Indicator) -> tuple[str, float, float]:
    """The reference's kind, the largest error on real prices and on random bars with gaps."""
    benchmark = real("MSFT")
    prices = [real(symbol, None if symbol == "FB" else LENGTH) for symbol in SYMBOLS]
    holes = with_gaps(random_bars(LENGTH, 30), 0.05, 31)
    if entry.name not in NAMES:
        return "TA-Lib", max(error_to_wheel(entry, bars) for bars in prices), error_to_wheel(entry, holes)
    params = next(parameters(entry))
    pairs = [(bars, benchmark[len(benchmark) - len(bars) :]) for bars in prices[:-1]]
    on_prices = max(error_to_loop(entry.name, params, *pair) for pair in pairs)
    return "loop", on_prices, error_to_loop(entry.name, params, holes, random_bars(LENGTH, 32))


def shown(error: float) -> str:
    """An error rounded up to a power of ten."""
    return "equal" if error == 0 else f"< 1e{ceil(log10(error)):03d}".replace("e-0", "e-")


def with_errors(page: str, rows: Sequence[str]) -> str:
    """The page, with the table between the marks."""
    table = ["| indicator | reference | real prices | random bars with gaps |", "|---|---|---|---|", *rows]
    return re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join([BEGIN, *table, END]), page, flags=re.DOTALL)


def main() -> None:
    """Compute and write."""
    configure_jax()
    patterns = [entry for entry in COVERED if entry.group is Group.PATTERN]
    rows = []
    for entry in CATALOGUE.values():
        if entry not in patterns:
            kind, on_prices, on_random = errors(entry)
            rows.append(f"| `{entry.name}` | {kind} | {shown(on_prices)} | {shown(on_random)} |")
    both = [errors(entry)[1:] for entry in patterns]
    worst = [shown(max(column)) for column in zip(*both, strict=True)]
    rows.append(f"| {len(patterns)} patterns `cdl..` | TA-Lib | {worst[0]} | {worst[1]} |")
    PAGE.write_text(with_errors(PAGE.read_text(), rows))


if __name__ == "__main__":
    main()
