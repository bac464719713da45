"""`python -m benchmarks.uploads`: teams that upload and validate data sets at once, on a fresh `luna up`.

Each team signs in, starts an X-ray set (images and labels.csv) and a set of a table, sends the files four at a time,
completes twice, waits for both verdicts and reads the reports. One team in four is cut off in the middle of a PUT and
renews its URLs. Three in four send something that is wrong on purpose. Then everything is counted: verdicts, statuses,
bytes of quota against bytes in the bucket.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import machine
from benchmarks.http.servers import luna
from rich.console import Console
from rich.table import Table

from .counting import counted, expected
from .making import makings
from .teams import make_teams, run_all
from .with_k6 import run_with_k6


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.uploads", description=__doc__)
    parser.add_argument("--teams", type=int, default=24, metavar="N", help="teams at once (24)")
    parser.add_argument("--images", type=int, default=8, metavar="N", help="images per team (8)")
    parser.add_argument("--side", type=int, default=1024, metavar="PIXELS", help="of an image (1024)")
    parser.add_argument("--rows", type=int, default=200_000, metavar="N", help="rows of the table (200000)")
    parser.add_argument("--k6", metavar="PROGRAM", help="have k6 play the teams, in place of this program")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run it; returns 1 if anything was not as it should be."""
    options, say = parse(arguments), Console(stderr=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-uploads-")))
        say.print("making files")
        files = makings(options.teams, options.images, options.side, options.rows)
        say.print("starting Luna")
        server = stack.enter_context(luna(folder))
        say.print("making accounts and users")
        teams = make_teams(folder / "luna", server.origin, files)
        say.print("uploading")
        outcomes = run_with_k6(options.k6, teams, folder) if options.k6 else asyncio.run(run_all(teams))
        say.print("counting")
        figures = asyncio.run(counted(folder / "luna", outcomes))
    wrong = expected(figures)
    report(figures, wrong)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.facts([]), **figures, "wrong": wrong}, indent=2))
    return 1 if wrong else 0


def report(figures: dict[str, object], wrong: list[str]) -> None:
    """Print what was measured, and what was not as it should be."""
    out = Console()
    for name, value in machine.facts(["pyarrow", "aiobotocore"]).items():
        out.print(f"{name}: {value}")
    table = Table("figure", "value", title="Teams that upload at once")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,.2f}" if isinstance(value, float) else str(value))
    out.print(table)
    for line in wrong:
        out.print(f"[red]wrong:[/red] {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
