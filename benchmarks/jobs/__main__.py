"""`python -m benchmarks.jobs`: what the queue itself costs, and how long failures and neighbours delay a job.

Real Postgres and Valkey, job workers in processes of their own, jobs whose work is trivial. Beside the throughput, in
the same run, stands the limit: the same number of pairs of one-row transactions on the same Postgres, which is what a
queue without leases, fences, events and charges would commit at least.
"""

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.command import Number, parse, report
from rich.console import Console

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.platform.schema import migrate

from .measure import measure

NUMBERS = (
    Number("jobs", 3_000, "jobs of the throughput run"),
    Number("queued", 10_000, "jobs of the busy neighbour"),
    Number("cancels", 200, "running jobs that are cancelled"),
    Number("kills", 5, "workers that are killed"),
)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    options, say = parse("jobs", __doc__, NUMBERS, arguments), Console(stderr=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-jobs-")))
        postgres = stack.enter_context(PostgresServer(folder / "postgres", folder))
        valkey = stack.enter_context(ValkeyServer(folder / "valkey", folder))
        migrate(postgres.url)
        figures = asyncio.run(measure(postgres.url, valkey.url, options, say))
    report("The queue of jobs", figures, ["sqlalchemy", "psycopg"], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
