"""The command line of a benchmark that takes numbers and reports figures."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import machine
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Number:
    """An option with a number, of the default's type."""

    name: str
    default: float
    what: str
    """For `--help`, without the default."""


class Figures(Protocol):
    """What was measured."""

    def rows(self) -> Sequence[tuple[str, str]]:
        """Names and values, for people."""

    def as_dict(self) -> Mapping[str, Any]:
        """The same for programs; JSON."""


def parse(
    name: str, description: str | None, numbers: Sequence[Number], arguments: Sequence[str]
) -> argparse.Namespace:
    """Read the command line: the numbers, and `--json FILE`.

    Args:
        name: of the benchmark's folder.
        description: the module's docstring.
        numbers: the options.
        arguments: without the program's name.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    for each in numbers:
        metavar = "S" if isinstance(each.default, float) else "N"
        words = f"{each.what} ({each.default:g})"
        parser.add_argument(
            f"--{each.name}", type=type(each.default), default=each.default, metavar=metavar, help=words
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def report(
    title: str, figures: Figures, packages: Sequence[str], file: Path | None, remarks: Mapping[str, str] | None = None
) -> None:
    """Print what was measured, and on what; write it where a file is named.

    Args:
        title: of the table.
        figures: what was measured.
        packages: whose versions matter.
        file: gets JSON.
        remarks: further facts, by name.
    """
    out = Console()
    for name, value in {**machine.facts(packages), **(remarks or {})}.items():
        out.print(f"{name}: {value}")
    table = Table("figure", "value", title=title)
    for name, value in figures.rows():
        table.add_row(name, value)
    out.print(table)
    if file is not None:
        file.write_text(json.dumps(figures.as_dict(), indent=2))
