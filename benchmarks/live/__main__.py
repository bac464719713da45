"""`python -m benchmarks.live`: updates to many WebSockets through HAProxy and one ingress replica.

Each socket that is updated watches ten series, which are written four times a second and sent four times a second;
the value of a sample is the time at which it was written, so the delay of a message includes ingest, commit, the bus,
the socket's rate and HAProxy. A quiet socket watches a series that nobody writes.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks.command import Number, parse, report
from rich.console import Console

from luna_serving.local.loopback.haproxy_connections import PIPES, SPARE_FILES, open_files

from .measure import run

NUMBERS = (
    Number("active", 1_000, "sockets that are updated"),
    Number("quiet", 10_000, "quiet sockets"),
    Number("groups", 100, "groups of ten series"),
    Number("seconds", 30.0, "of the measurement"),
)


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status: 1 if a connection was lost."""
    options, say = parse("live", __doc__, NUMBERS, arguments), Console(stderr=True)
    # A few are for the writer and for health checks.
    most = (open_files() - SPARE_FILES) // 2 - PIPES - 50
    quiet = min(options.quiet, most - options.active)
    if quiet < options.quiet:
        say.print(f"The limit on open files lets one HAProxy take {most} connections: {quiet} quiet ones.")
    began = machine.stolen()
    with tempfile.TemporaryDirectory(prefix="luna-live-") as folder:
        figures = run(Path(folder), options.active, quiet, options.groups, options.seconds)
    stolen = {"CPU time stolen by neighbours": machine.stolen_since(began, figures.seconds)}
    report("Live updates", figures, ["uvicorn", "websockets", "uvloop", "ray"], options.json, stolen)
    return 1 if figures.lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
