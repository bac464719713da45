"""`python -m benchmarks.anomaly`: model alerts: speed, false alarms, shifts, a labelled public set where one is given.

The labelled set is the Numenta Anomaly Benchmark (MIT), a folder with `data` and `labels`; it is not part of this
repository: `--nab FOLDER`. `--pictures FOLDER` draws those of docs/model-alerts.md, if matplotlib is installed.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import machine
from rich.console import Console
from rich.table import Table

from . import alarms, labelled, pictures, speed

PARTS = ("speed", "alarms", "labelled")


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomaly", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--weeks", type=int, default=10_000, help="simulated weeks per kind of series")
    parser.add_argument("--nab", type=Path, metavar="FOLDER", help="the Numenta Anomaly Benchmark")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write SVGs there, if matplotlib is installed")
    options, out = parser.parse_args(arguments), Console()
    for name, value in machine.facts(["numpy", "scipy", "statsmodels"]).items():
        out.print(f"{name}: {value}")
    chosen = options.parts or PARTS
    if "speed" in chosen:
        _show(out, "speed", ("what", "measured", "beside", "ratio"), speed.measure())
    if "alarms" in chosen:
        columns = (
            "series",
            "method",
            "asked per week",
            "false alarms per week",
            "ratio",
            "6 σ found at once",
            "within 5 samples",
        )
        measured = []
        for some in alarms.measure(options.weeks):
            _show(out, f"{some[0].weeks} simulated weeks", columns, alarms.rows(some))
            measured += some
        if options.pictures and pictures.can_draw():
            pictures.draw_rates(measured, options.pictures / "model-alerts-rates.svg")
    if options.pictures and pictures.can_draw():
        pictures.draw_example(options.pictures / "model-alerts-example.svg")
    if "labelled" in chosen and options.nab:
        columns = ("group", "method", "series", "windows", "found", "false alarms per week and series")
        _show(out, "labelled series, one false alarm a week asked for", columns, labelled.measure(options.nab))
    return 0


def _show(out: Console, title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    out.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
