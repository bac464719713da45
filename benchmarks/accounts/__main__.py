"""`python -m benchmarks.accounts`: Accounts from nothing to Ready, on a real API server, Postgres and Valkey.

Beside it, in the same run and on the same servers, the limit: the requests that the operator makes for an account
(finalizer, Secret, status, Event), sent by a client that does nothing else.
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
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import LUNA_CRDS
from tests.cluster.folders import assets_folder
from tests.operator.operating import Surroundings

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.platform.schema import migrate

from .measure import Figures, measure


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accounts", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000, metavar="N", help="how many (10000)")
    parser.add_argument("--sweep", type=float, default=60.0, metavar="S", help="the operator's SWEEP_S (60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the servers' logs under DIR")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    options, say = parse(arguments), Console(stderr=True)
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-accounts-")))
        folder.mkdir(parents=True, exist_ok=True)
        say.print("starting the cluster, Postgres and Valkey")
        cluster = stack.enter_context(Cluster(folder / "cluster", assets_folder(), LUNA_CRDS))
        postgres = stack.enter_context(PostgresServer(folder / "postgres", folder))
        valkey = stack.enter_context(ValkeyServer(folder / "valkey", folder))
        migrate(postgres.url)
        around = Surroundings(cluster.kubeconfig, postgres.url, valkey.url)
        figures = asyncio.run(measure(cluster, around, folder, options.accounts, options.sweep, say))
    report(figures)
    if options.json:
        options.json.write_text(json.dumps(figures.as_dict(), indent=2))
    return 0


def report(figures: Figures) -> None:
    """Print what was measured."""
    out = Console()
    for name, fact in machine.facts(("luna", "kopf", "kubernetes", "sqlalchemy", "psycopg")).items():
        out.print(f"{name}: {fact}", highlight=False)
    for line in figures.lines():
        out.print(line, highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
