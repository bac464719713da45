"""Random cases against the exact oracle.

`python -m tests.engines.statespace.oracles.run --kind structural --count 200`

Prints a line a failure (case, task/output, error in units of the scale, plan) and a summary a kind.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .draw_models import DRAWS, case_of
from .judge import Verdict, judged


def verdicts(kind: str, seeds: list[int], processes: int, until: float) -> Iterator[Verdict]:
    """Of each seed, as long as there is time."""
    if processes == 1:
        for seed in seeds:
            if time.monotonic() > until:
                return
            yield judged(case_of(kind, seed))
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for first in range(0, len(seeds), 50 * processes):
            if time.monotonic() > until:
                return
            yield from pool.map(_verdict, [(kind, seed) for seed in seeds[first : first + 50 * processes]], chunksize=5)


def _verdict(name: tuple[str, int]) -> Verdict:
    return judged(case_of(*name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=[*DRAWS, "all"], default="all")
    parser.add_argument("--count", type=int, default=100, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the first case")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="stop after that long")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    for kind in DRAWS if options.kind == "all" else [options.kind]:
        seeds = list(range(options.seed, options.seed + options.count))
        _report(kind, verdicts(kind, seeds, options.processes, until))


def _sort(verdict: Verdict) -> str:
    """What a case comes to."""
    if verdict.wrong:
        return "refused" if all(each.output.endswith("/refused") for each in verdict.wrong) else "wrong"
    if verdict.wrong_while_open:
        return "wrong while diffuse only"
    return "ill-posed" if verdict.failures else "right"


def _report(kind: str, found: Iterator[Verdict]) -> None:
    started, worst = time.monotonic(), 0.0
    counts: Counter[str] = Counter()
    for verdict in found:
        counts["cases"] += 1
        for failure in verdict.failures:
            print(failure, f"faintest={verdict.faintest:.1g}", flush=True)  # noqa: T201  a command's output
        counts[_sort(verdict)] += 1
        worst = max(worst, verdict.worst)
    seconds = time.monotonic() - started
    print(f"# {kind}: {dict(counts)}; worst of the right ones {worst:.2g}; {seconds:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
