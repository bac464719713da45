"""`python -m benchmarks.http.request_log`: what the request log costs a call of the hot path.

Two Lunas are up at once, one with the log and one without, and take turns in short slices of load. Two ratios, on over
off, come from each pair of neighbours: answers per second, and CPU time of the ingress process per answer. The second
is the steadier one on a machine where other things run.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from .series import make_load
from .servers import Server, luna, verify
from .wrk import INSTALL_WRK, measure, wrk_program

INGRESS = "ServeReplica:luna:ingress"
LEAST_RATIO = 0.97


def ingress_of(server: Server) -> list[psutil.Process]:
    """The ingress replicas of a Luna."""
    below = psutil.Process(server.pid).children(recursive=True)
    found = [process for process in below if INGRESS in " ".join(process.cmdline())]
    if not found:
        raise LookupError(f"No process of {server.origin} is called {INGRESS}.")
    return found


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds that processes have used."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def shown(name: str, ratios: Sequence[float]) -> str:
    """The median and the spread of ratios."""
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return (
        f"{name:<44} median {statistics.median(ratios):.3f}   quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}   "
        f"range {min(ratios):.3f} to {max(ratios):.3f}"
    )


def main() -> int:
    """Run the benchmark; return 1 if the log takes more than it may."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http.request_log", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--pairs", type=int, default=10, help="pairs of slices")
    parser.add_argument("--seconds", type=int, default=4, help="length of a slice")
    parser.add_argument("--points", type=int, default=200, help="length of the series")
    parser.add_argument("--connections", type=int, default=32, help="requests in flight")
    options = parser.parse_args()
    if wrk_program() is None:
        print(INSTALL_WRK, file=sys.stderr)
        return 2
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-bench-")))
        servers = {
            name: stack.enter_context(luna(work, name, LUNA_REQUESTS_LOG=log))
            for name, log in (("on", "true"), ("off", "false"))
        }
        load = make_load(options.points)
        bodies = load.write(work / "bodies")
        shortest = {name: verify(server, load) for name, server in servers.items()}
        ingress = {name: ingress_of(server) for name, server in servers.items()}
        rates: dict[str, list[float]] = {"on": [], "off": []}
        costs: dict[str, list[float]] = {"on": [], "off": []}
        for pair in range(options.pairs + 1):
            # Whoever comes second has a warmer machine: they change places.
            for name in ("on", "off") if pair % 2 else ("off", "on"):
                before = cpu_s(ingress[name])
                seen = measure(
                    servers[name],
                    bodies,
                    connections=options.connections,
                    seconds=options.seconds,
                    shortest_answer=shortest[name],
                )
                if seen.faults:
                    print(f"{name}: {seen.faults}", file=sys.stderr)
                    return 1
                cost = (cpu_s(ingress[name]) - before) / seen.requests * 1e6
                print(
                    f"pair {pair:>2} {name:<4}{seen.requests_per_s:>8.0f}/s  ingress {cost:>5.0f} us per call",
                    flush=True,
                )
                if pair:  # the first warms up
                    rates[name].append(seen.requests_per_s)
                    costs[name].append(cost)
    ratios = [on / off for on, off in zip(rates["on"], rates["off"], strict=True)]
    print(shown("answers per second, on / off", ratios))
    print(
        shown(
            "ingress CPU time per answer, off / on",
            [off / on for on, off in zip(costs["on"], costs["off"], strict=True)],
        )
    )
    more = statistics.median(on - off for on, off in zip(costs["on"], costs["off"], strict=True))
    print(
        f"{'CPU time that the log adds to a call':<44} median {more:.1f} us of {statistics.median(costs['off']):.0f} us"
    )
    return 0 if statistics.median(ratios) >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
