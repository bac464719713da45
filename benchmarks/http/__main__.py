"""`python -m benchmarks.http`: Luna, the original design, a bare echo and other model servers, in one run.

All servers are up at once and take turns in short slices (original, echo, luna, original, ...), because what
else runs on a shared machine changes from minute to minute: a ratio within a round compares neighbours in time.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import machine
from rich.console import Console

from luna_serving.local.data_folder.errors import LocalServerError

from . import report
from .environments import PeerNotInstalledError
from .peer_servers import PEERS
from .series import Load, make_load
from .servers import STARTERS, Server, WrongAnswerError, haproxy_in_use, verify
from .wrk import INSTALL_WRK, Slice, WrkFailedError, measure, wrk_program, wrk_version

WARM_UP_S = 1
IDLE_S = 3.0
PACKAGES = ("luna", "ray", "jax", "fastapi", "pydantic", "starlette", "uvicorn", "orjson", "numpy", "redis")

SERVERS = (*STARTERS, *PEERS)

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


def _numbers(text: str) -> list[int]:
    values = [int(part) for part in text.split(",")]
    if not values or min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of positive numbers")
    return values


def _names(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(SERVERS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(SERVERS)}")
    return [name for name in SERVERS if name in wanted]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http",
        description="Requests per second and latency of one Kalman call over HTTP: Luna, the original design, "
        "a bare echo and other model servers, in turns on this machine.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=_names, default=list(SERVERS), metavar="A,B", help="some of them")
    add("--points", type=_numbers, default=[200, 2000], metavar="N,N", help="lengths of the series")
    add("--connections", type=_numbers, default=[1, 32, 256], metavar="N,N", help="requests in flight")
    add("--rounds", type=int, choices=range(1, 101), default=3, metavar="N", help="slices for each row")
    add("--seconds", type=int, choices=range(1, 601), default=5, metavar="S", help="length of a slice")
    add("--markdown", action="store_true", help="print plain Markdown on standard output")
    add("--json", type=Path, metavar="FILE", help="write everything, each round included")
    add("--keep", type=Path, metavar="DIR", help="keep the servers' logs and data in a new folder under DIR")
    add("--plot", type=Path, metavar="FILE", help="draw a PNG, if matplotlib is installed")
    return parser.parse_args(arguments)


class Benchmark:
    """One run: what to measure, and the progress that it shows on standard error."""

    def __init__(self, options: argparse.Namespace, say: Console) -> None:
        self._options = options
        self._say = say

    def run(self, stack: ExitStack) -> tuple[list[report.Row], dict[str, str]]:
        """Start, verify, measure; what was started ends with `stack`.

        Raises:
            WrongAnswerError: a server computes something else than the reference.
            LocalServerError: a server did not start; with the end of its log.
            WrkFailedError: wrk could not run.
        """
        options = self._options
        facts = machine.facts(PACKAGES) | {"wrk": wrk_version(wrk_program() or "")}
        work = _working_folder(options.keep, stack)
        installed = self._installed(facts)
        servers = []
        for name, start in installed.items():
            started = time.monotonic()
            self._say.print(f"starting {name} ...")
            servers.append(stack.enter_context(start(work)))
            self._say.print(f"{name} is up after {time.monotonic() - started:.1f} s")
        for server in servers:
            if server.name == "luna" and (proxy := haproxy_in_use(server)) is not None:
                facts["Luna's proxy"] = str(proxy)
        loads = [make_load(points) for points in options.points]
        shortest = self._verify(servers, loads)
        facts["cores busy with all servers idle"] = f"{machine.busy_cores(IDLE_S):.2f}"
        stolen, started = machine.stolen(), time.monotonic()
        slices = self._measure(servers, loads, shortest, work)
        facts["CPU time stolen by neighbours"] = machine.stolen_since(stolen, time.monotonic() - started)
        return report.make_rows(slices), facts

    def _progress(self, line: str, style: str | None = None) -> None:
        self._say.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def _installed(self, facts: dict[str, str]) -> dict[str, Callable[[Path], AbstractContextManager[Server]]]:
        """How to start each server, without the peers that cannot be installed, which `facts` then names."""
        starters: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {}
        for name in self._options.only:
            if name in STARTERS:
                starters[name] = STARTERS[name]
                continue
            peer = PEERS[name]
            try:
                environment = peer.installed(self._progress)
            except PeerNotInstalledError as error:
                facts[f"left out, {name}"] = str(error)
                self._progress(f"{name} is left out: {error}", style="bold yellow")
                continue
            facts[f"versions, {name}"] = environment.versions(peer.packages)
            starters[name] = partial(peer.start, environment)
        return starters

    def _verify(self, servers: list[Server], loads: list[Load]) -> dict[tuple[str, int], int]:
        shortest = {}
        for server in servers:
            for load in loads:
                shortest[server.name, load.points] = verify(server, load)
            self._say.print(f"{server.name} answers rightly")
        return shortest

    def _measure(
        self, servers: list[Server], loads: list[Load], shortest: dict[tuple[str, int], int], work: Path
    ) -> dict[tuple[int, int, str], list[Slice]]:
        options = self._options
        slices: dict[tuple[int, int, str], list[Slice]] = {}
        each = (WARM_UP_S + options.rounds * options.seconds) * len(servers)
        total_s = each * len(loads) * len(options.connections)
        self._say.print(f"measuring for about {total_s / 60:.1f} minutes")
        for load in loads:
            bodies = {
                server.name: load.write(work / f"bodies-{load.points}-{server.name}", server.wire.body)
                for server in servers
            }
            for connections in options.connections:
                # Round 0 warms up and is thrown away.
                for turn in range(options.rounds + 1):
                    for server in servers:
                        row = slices.setdefault((load.points, connections, server.name), [])
                        seen = measure(
                            server,
                            bodies[server.name],
                            connections=connections,
                            seconds=options.seconds if turn else WARM_UP_S,
                            shortest_answer=shortest[server.name, load.points],
                        )
                        self._show(turn, load.points, connections, server.name, seen)
                        # A fault while warming up is a fault too.
                        if turn or seen.faults:
                            row.append(seen)
        return slices

    def _show(self, turn: int, points: int, connections: int, name: str, seen: Slice) -> None:
        options = self._options
        self._say.print(
            f"{points:>6} points {connections:>3} connections  "
            f"{f'round {turn}/{options.rounds}' if turn else 'warm-up':<10} {name:<17}"
            f"{seen.requests_per_s:>8.0f}/s  p50 {seen.p50_ms:.2f} ms  p99 {seen.p99_ms:.2f} ms"
            + (f"  [bold red]{seen.faults}[/]" if seen.faults else ""),
            highlight=False,
            soft_wrap=True,
        )


def _working_folder(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-bench-")))
    keep.mkdir(parents=True, exist_ok=True)
    # A new one each time: Luna would find the data of its last start again.
    return Path(tempfile.mkdtemp(prefix="run-", dir=keep)).resolve()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    # Once: an impatient second Ctrl-C must not cut the stopping short and leave servers behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the benchmark; return the exit status."""
    options = parse(sys.argv[1:])
    say = Console(stderr=True)
    if wrk_program() is None:
        say.print(INSTALL_WRK, style="bold red", highlight=False)
        return UNUSABLE
    if options.plot and not report.can_plot():
        say.print("matplotlib is not installed: --plot will draw nothing", style="yellow")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            stack.callback(say.print, "everything is stopped")
            rows, facts = Benchmark(options, say).run(stack)
            say.print("stopping ...")
    except KeyboardInterrupt:
        say.print("interrupted", style="yellow")
        return INTERRUPTED
    except (WrongAnswerError, WrkFailedError, LocalServerError) as error:
        say.print(str(error), style="bold red", markup=False, highlight=False)
        return FAILED
    return publish(options, rows, facts, say)


def publish(options: argparse.Namespace, rows: list[report.Row], facts: dict[str, str], say: Console) -> int:
    """Print and write the results; return the exit status."""
    if options.markdown:
        print(report.as_markdown(rows, facts))
    else:
        # In a file or a pipe there is no terminal whose width would matter.
        out = Console(width=None if sys.stdout.isatty() else 140)
        for name, value in facts.items():
            out.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
        out.print(report.as_table(rows))
    if options.json:
        settings = {name: getattr(options, name) for name in ("only", "points", "connections", "rounds", "seconds")}
        options.json.write_text(json.dumps(report.as_json(rows, facts, settings), indent=2) + "\n")
    if options.plot and report.can_plot():
        report.plot(rows, facts, options.plot)
    if invalid := [row for row in rows if row.faults]:
        say.print(f"{len(invalid)} of {len(rows)} rows are invalid, see their errors", style="bold red")
        return FAILED
    return OK


if __name__ == "__main__":
    sys.exit(main())
