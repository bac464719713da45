"""`python -m benchmarks.jobs`: what the queue itself costs, and how long failures and neighbours delay a job.

Real Postgres and Valkey, job workers in processes of their own, jobs whose work is trivial. Beside the throughput, in
the same run, stands the limit: the same number of pairs of one-row transactions on the same Postgres, which is what a
queue without leases, fences, events and charges would commit at least.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import machine
from rich.console import Console
from rich.table import Table

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.platform.schema import migrate

from .measure import Figures, measure


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=3_000, metavar="N", help="jobs of the throughput run (3000)")
    parser.add_argument("--queued", type=int, default=10_000, metavar="N", help="jobs of the busy neighbour (10000)")
    parser.add_argument("--cancels", type=int, default=200, metavar="N", help="running jobs that are cancelled (200)")
    parser.add_argument("--kills", type=int, default=5, metavar="N", help="workers that are killed (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    options, say = parse(arguments), Console(stderr=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-jobs-")))
        postgres = stack.enter_context(PostgresServer(folder / "postgres", folder))
        valkey = stack.enter_context(ValkeyServer(folder / "valkey", folder))
        migrate(postgres.url)
        figures = asyncio.run(measure(postgres.url, valkey.url, options, say))
    report(figures)
    if options.json:
        options.json.write_text(json.dumps(figures.as_dict(), indent=2))
    return 0


def report(figures: Figures) -> None:
    """Print what was measured."""
    out = Console()
    for name, value in machine.facts(["sqlalchemy", "psycopg"]).items():
        out.print(f"{name}: {value}")
    table = Table("figure", "value", title="The queue of jobs")
    for name, value in figures.rows():
        table.add_row(name, value)
    out.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
