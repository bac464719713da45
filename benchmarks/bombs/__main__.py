"""`python -m benchmarks.bombs`: what a Kalman call takes beside decompression bombs, on a fresh `luna up`.

One caller sends a series of 200 points, waits for the answer, and pauses 20 ms: in turns alone, and while files that
unpack to hundreds of megabytes are uploaded and validated, five at a time. Both are measured in one run. The status is
1 if a call is refused, a bomb gets another verdict than the one it deserves, or a validator takes 512 MB or more.
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

from .making import BOMBS
from .measure import Beside, measured, quantiles_ms

MOST_BYTES = 512_000_000


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bombs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="phases of each kind (3)")
    parser.add_argument("--seconds", type=float, default=15.0, metavar="S", help="of a phase at least (15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run it."""
    options = parse(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-bombs-")))
        server = stack.enter_context(luna(folder))
        base_url = (server.origin + server.path).removesuffix("/kalman")
        asked = measured(base_url, server.api_key, BOMBS, rounds=options.rounds, phase_s=options.seconds)
        found = asyncio.run(asked)
    figures, wrong = figures_of(found), wrong_of(found)
    for name, value in machine.facts(["pyarrow", "ray"]).items():
        print(f"{name}: {value}")
    print("\n| a Kalman call | calls | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|")
    for name in ("alone", "beside bombs"):
        row = figures[name]
        print(f"| {name} | {row['calls']:,} | {row['p50']:.1f} | {row['p99']:.1f} | {row['max']:.1f} |")
    print(f"\n{figures['bombs']} bombs; the largest validator took {found.peak_bytes / 1e6:.0f} MB")
    for line in wrong:
        print(f"wrong: {line}")
    if options.json:
        facts = {"machine": machine.facts(["pyarrow", "ray"]), **figures, "wrong": wrong}
        options.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 1 if wrong else 0


def figures_of(found: Beside) -> dict[str, object]:
    """The figures, by name."""
    phases = {"alone": found.quiet_s, "beside bombs": found.beside_s}
    return {
        **{name: {"calls": len(seconds), **quantiles_ms(seconds)} for name, seconds in phases.items()},
        "bombs": len(found.verdicts),
        "peak_bytes": found.peak_bytes,
    }


def wrong_of(found: Beside) -> list[str]:
    """What is not as it must be, whatever the machine."""
    wrong = list(found.wrong)
    if found.refused:
        wrong.append(f"{found.refused} calls were refused")
    if not 0 < found.peak_bytes < MOST_BYTES:
        wrong.append(f"a validator took {found.peak_bytes:,} bytes")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
