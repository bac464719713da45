"""`python -m benchmarks.metrics`: live metrics over HTTP beside VictoriaMetrics and Prometheus, in one run.

Every contender starts with fresh data and gets the same requests from the same client, one contender after the other.
Luna acknowledges when Postgres has committed; VictoriaMetrics acknowledges what is in memory and syncs within seconds;
Prometheus writes its log without a sync. So ingest compares different promises, and the table says which.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine
from rich.console import Console
from rich.table import Table

from .contenders import STARTERS, installed
from .measure import Figures, Plan, measure


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples, a minute or two")
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=list(STARTERS), help="a contender; repeat it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    options, say = parse(arguments), Console(stderr=True)
    plan = Plan.quick() if options.quick else Plan()
    found: dict[str, Figures] = {}
    facts = machine.facts(["luna", "numpy", "pcodec", "promql-parser"])
    stolen, began = machine.stolen(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="luna-metrics-") as folder:
        for name in options.only or list(STARTERS):
            if not installed(name):
                say.print(f"{name} is not installed: left out.")
                continue
            work = Path(folder) / name
            work.mkdir()
            with STARTERS[name](work) as contender:  # type: ignore[attr-defined]
                say.print(f"{contender.name} {contender.version}")
                figures = found[f"{contender.name} {contender.version}"] = measure(contender, plan, say)
            # At once: the next one takes minutes, and may be interrupted.
            for label, value in figures.rows():
                say.print(f"  {label.strip()}: {value}")
    facts["stolen"] = machine.stolen_since(stolen, time.perf_counter() - began)
    report(facts, found)
    if options.json:
        options.json.write_text(json.dumps({name: asdict(each) for name, each in found.items()}, indent=2))
    return 0


def report(facts: dict[str, str], found: dict[str, Figures]) -> None:
    """Print what was measured."""
    out = Console()
    for name, value in facts.items():
        out.print(f"{name}: {value}")
    table = Table("figure", *found, title="Live metrics")
    rows = [each.rows() for each in found.values()]
    for i, (label, _) in enumerate(rows[0] if rows else []):
        table.add_row(label, *(row[i][1] for row in rows))
    out.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
