"""`python -m benchmarks.statespace`: Luna's filter and five libraries, on the same series in one run.

All answers are compared before anything is timed. Then Luna and the peers take turns, so that what else runs on the
machine disturbs neighbours alike; a figure is the median over the rounds.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks import machine
from rich.console import Console

from luna_serving.engines.statespace.process.jax_process import configure_jax

from . import report
from .luna import FilterBatch
from .measure import Cell, check_all, measure
from .peers import NAMES, load
from .plot import can_plot, plot
from .timing import copy_bandwidth
from .workload import Contender, Size, Task, WrongAnswerError, grid

OK, FAILED, INTERRUPTED = 0, 1, 130
PACKAGES: Final = ("luna", "jax", "numpy", *NAMES)
LENGTHS: Final = (100, 1000, 10_000, 100_000)
# 10 M steps are 80 MB of series, and 1 to 3 GB of answers in full.
MOST_STEPS: Final = 11_000_000


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    sizes: Mapping[Task, list[Size]]
    call_s: float
    """Seconds of one call from which a peer answers a part only."""
    rounds: int


FEW: Final = grid((1, 1024, 100_000), LENGTHS, MOST_STEPS)
DEFAULT: Final = Extent(
    {Task.MEANS: grid((1, 10, 100, 1024, 10_000, 100_000), LENGTHS, MOST_STEPS), Task.GAPS: FEW, Task.FULL: FEW},
    0.15,
    5,
)
QUICK: Final = Extent(
    {
        Task.MEANS: grid((1, 100, 1024), (100, 1000), MOST_STEPS),
        Task.GAPS: grid((1, 1024), (1000,), MOST_STEPS),
        Task.FULL: grid((1, 1024), (1000,), MOST_STEPS),
    },
    0.04,
    3,
)


def _numbers(text: str) -> list[int]:
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of positive numbers")
    return values


def _names(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(NAMES):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    return wanted


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.statespace",
        description="Steps a second of a Kalman filter of 2 states, in float64: Luna and its peers in turns.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a few sizes, less than a minute on a quiet machine")
    add("--peers", type=_names, default=list(NAMES), metavar="A,B", help=f"some of {','.join(NAMES)}")
    add("--series", type=_numbers, metavar="N,N", help="numbers of series, at every task, instead of the usual ones")
    add("--periods", type=_numbers, metavar="N,N", help="lengths, at every task, instead of the usual ones")
    add("--rounds", type=int, choices=range(1, 101), metavar="N", help="turns of each (5; quick: 3)")
    add("--threads", type=int, choices=range(1, 257), default=os.cpu_count(), metavar="N", help="Luna's (all cores)")
    add("--json", type=Path, metavar="FILE", help="write everything, each round included")
    add("--plot", type=Path, metavar="FILE", help="draw the scaling as a PNG, if matplotlib is installed")
    return parser.parse_args(arguments)


def extent(options: argparse.Namespace) -> Extent:
    """What the options ask for."""
    chosen = QUICK if options.quick else DEFAULT
    rounds = options.rounds or chosen.rounds
    if not options.series and not options.periods:
        return replace(chosen, rounds=rounds)
    sizes = {}
    for task, usual in chosen.sizes.items():
        series = options.series or list(dict.fromkeys(size.series for size in usual))
        periods = options.periods or list(dict.fromkeys(size.periods for size in usual))
        sizes[task] = grid(series, periods, MOST_STEPS)
    return Extent(sizes, chosen.call_s, rounds)


def run(options: argparse.Namespace, luna: list[Contender], peers: list[Contender], say: Console) -> list[Cell]:
    """Check everybody, then measure every cell.

    Raises:
        WrongAnswerError: a contender computes something else.
    """
    check_all(luna, peers)
    say.print(f"Luna and {len(peers)} peers agree on small series")
    wanted = extent(options)
    cells = []
    for task, sizes in wanted.sizes.items():
        for size in sizes:
            say.print(f"{task.value:5} {size.series:>7} series of {size.periods:>7} periods", highlight=False)
            cells.append(measure(task, size, luna, peers, wanted.rounds, wanted.call_s))
    return cells


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit status."""
    options = parse(arguments)
    say = Console(stderr=True, soft_wrap=True)
    if options.plot and not can_plot():
        say.print("matplotlib is not installed: --plot will draw nothing", style="yellow")
    configure_jax()
    peers, left_out = load(options.peers)
    for name, reason in left_out.items():
        print(f"{name} is left out, it cannot be loaded: {reason}; pip install 'luna[bench]' has it")
    facts = machine.facts(PACKAGES) | {"threads": f"Luna {options.threads}; the peers as many as they take"}
    bandwidth = copy_bandwidth(20, options.threads)
    try:
        with ThreadPoolExecutor(options.threads) if options.threads > 1 else nullcontext() as pool:
            luna = [FilterBatch(pool)]
            cells = run(options, luna, peers, say)
    except KeyboardInterrupt:
        say.print("interrupted", style="yellow")
        return INTERRUPTED
    except WrongAnswerError as error:
        say.print(f"WRONG, nothing more is timed: {error}", style="bold red", markup=False)
        return FAILED
    bandwidth = max(bandwidth, copy_bandwidth(20, options.threads))
    facts["copy"] = f"{bandwidth / 1e9:.1f} GB/s read and written, {options.threads} threads"
    facts["load average after"] = f"{os.getloadavg()[0]:.2f}"
    publish(options, cells, facts, bandwidth, [peer.name for peer in peers])
    return OK


def publish(
    options: argparse.Namespace, cells: list[Cell], facts: dict[str, str], bandwidth: float, peers: list[str]
) -> None:
    """Print and write the results."""
    for name, value in facts.items():
        print(f"{name}: {value}")
    print(f"\n{report.tables(cells, bandwidth, peers)}")
    if options.json:
        options.json.write_text(json.dumps(report.as_json(cells, facts, bandwidth), indent=2) + "\n")
    if options.plot and can_plot():
        plot(cells, facts, bandwidth, options.plot)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
