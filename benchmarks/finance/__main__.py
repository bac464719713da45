"""`python -m benchmarks.finance`: the finance engines beside their peers, in one run.

A part is a module of this folder with `NAME` and `measure(quick) -> list[Figure]`. Peers that are not installed are
left out.
"""

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine
from rich.console import Console
from rich.table import Table

from .figures import Figure

PARTS = ("blackscholes", "montecarlo", "markowitz")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finance", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all that there are)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, some seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    options, out = parse(arguments), Console()
    for name, value in machine.facts(["jax", "jaxlib", "numpy", "scipy", "QuantLib", "vollib", "fast_vollib"]).items():
        out.print(f"{name}: {value}")
    written: dict[str, list[dict[str, object]]] = {}
    here = Path(__file__).parent
    for part in options.parts or [name for name in PARTS if (here / f"{name}.py").exists()]:
        module = importlib.import_module(f"benchmarks.finance.{part}")
        figures: list[Figure] = module.measure(options.quick)
        table = Table("what", "Luna", "peer", "ratio", "note", title=module.NAME)
        for each in figures:
            table.add_row(*each.row())
        out.print(table)
        written[part] = [asdict(each) for each in figures]
    if options.json:
        options.json.write_text(json.dumps(written, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
