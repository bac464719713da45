"""`python -m benchmarks.http.request_log`: what the request log costs a call of the hot path.

Two edges in one process (`edge.py`), one with the log and one without, take turns in short slices of load. Two ratios
come from each pair of neighbours: answers per second, and CPU time of the process per answer, writing the rows
included. The second is the steadier one on a machine where other things run. `edge.py` says why a real call fares
better; `--whole` compares two whole Lunas instead, which takes 5 GB of memory, and shows answers per second alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from .series import make_load
from .servers import ROOT, Server, luna
from .wrk import INSTALL_WRK, Slice, measure, wrk_program

LEAST_RATIO = 0.97
# Longer than a flush: the rows of a slice are written before the CPU time is read.
FLUSHED_S = 1.3


def shown(name: str, ratios: Sequence[float]) -> str:
    """The median and the spread of ratios."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return (
        f"{name:<42} median {statistics.median(ratios):.3f}   quartiles {low:.3f} to {high:.3f}   "
        f"range {min(ratios):.3f} to {max(ratios):.3f}"
    )


def sliced(
    server: Server, process: psutil.Process | None, bodies: Path, options: argparse.Namespace
) -> tuple[Slice, float]:
    """One slice of load, and the CPU microseconds that a call took."""
    before = cpu_s(process)
    seen = measure(
        server, bodies, connections=options.connections, seconds=options.seconds, shortest_answer=options.points
    )
    time.sleep(FLUSHED_S)
    return seen, (cpu_s(process) - before) / max(1, seen.requests) * 1e6


def cpu_s(process: psutil.Process | None) -> float:
    """The CPU seconds of a process until now."""
    times = process.cpu_times() if process else None
    return times.user + times.system if times else 0.0


def main() -> int:
    """Run the benchmark; return 1 if the log takes more than it may."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http.request_log", description="The request log's cost."
    )
    parser.add_argument("--pairs", type=int, default=12, help="pairs of slices, 2 at least")
    parser.add_argument("--seconds", type=int, default=3, help="length of a slice")
    parser.add_argument("--points", type=int, default=200, help="length of the series")
    parser.add_argument("--connections", type=int, default=32, help="requests in flight")
    parser.add_argument("--whole", action="store_true", help="two whole Lunas, instead of two edges in one process")
    options = parser.parse_args()
    if wrk_program() is None:
        print(INSTALL_WRK, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder:
        work = Path(folder)
        bodies = make_load(options.points).write(work / "bodies")
        if options.whole:
            with luna(work, "on") as on, luna(work, "off", LUNA_REQUESTS_LOG="false") as off:
                return compared({"on": on, "off": off}, None, bodies, options)
        command = [sys.executable, "-m", "benchmarks.http.edge", str(work)]
        with (
            (work / "edge.log").open("wb") as log,
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    print((work / "edge.log").read_text(), file=sys.stderr)
                    return 1
                facts = json.loads(line)
                edges = {
                    name: Server(name, f"http://127.0.0.1:{port}", facts["path"], facts["key"])
                    for name, port in facts["ports"].items()
                }
                return compared(edges, psutil.Process(facts["pid"]), bodies, options)
            finally:
                process.terminate()
                process.wait(30)


def compared(
    servers: Mapping[str, Server], process: psutil.Process | None, bodies: Path, options: argparse.Namespace
) -> int:
    """Measure pairs, and print what they show; CPU times where one process serves both."""
    rates: dict[str, list[float]] = {"on": [], "off": []}
    costs: dict[str, list[float]] = {"on": [], "off": []}
    for pair in range(options.pairs + 1):
        # They change places: the second of a pair finds a warmer machine.
        for name in ("on", "off") if pair % 2 else ("off", "on"):
            seen, cost = sliced(servers[name], process, bodies, options)
            if seen.faults:
                print(f"{name}: {seen.faults}", file=sys.stderr)
                return 1
            shown_cost = f" {cost:>7.1f} us of CPU per call" if process else ""
            print(f"pair {pair:>2} {name:<4}{seen.requests_per_s:>8.0f}/s{shown_cost}", flush=True)
            if pair:  # the first warms up
                rates[name].append(seen.requests_per_s)
                costs[name].append(cost)
    ratios = [on / off for on, off in zip(rates["on"], rates["off"], strict=True)]
    print(shown("answers per second, on / off", ratios))
    if process is not None:
        cheaper = [off / on for on, off in zip(costs["on"], costs["off"], strict=True)]
        more = statistics.median(on - off for on, off in zip(costs["on"], costs["off"], strict=True))
        print(shown("CPU time per answer, off / on", cheaper))
        print(f"the log adds {more:.1f} us of CPU time to a call of {statistics.median(costs['off']):.0f} us")
    return 0 if statistics.median(ratios) >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
