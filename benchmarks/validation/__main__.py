"""`python -m benchmarks.validation`: the validation of a large CSV beside pyarrow, which only reads it.

Prints the ratio of their times and the greatest memory of the child that validates; then what a small file costs.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from benchmarks import machine

from luna_serving.capabilities.datasets.validation.check import TABLE_PRELOAD, check_set, check_table
from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.manifest import SetFile
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

CONTRACT = contract_of(SetType.SERIES, {"time_column": "ts", "series_column": "shop", "value_columns": ["y", "z"]})
MOST_RATIO, MOST_BYTES = 1.5, 300 << 20
# A process of its own, as a reader would have it, warmed up by a small file; by blocks, as memory allows, and at once.
READ = """
import sys, time, pyarrow.csv as c
c.read_csv(sys.argv[2])
began, used = time.perf_counter(), time.process_time()
if sys.argv[1] == "blocks":
    rows = sum(batch.num_rows for batch in c.open_csv(sys.argv[3]))
else:
    rows = c.read_csv(sys.argv[3]).num_rows
print(time.perf_counter() - began, time.process_time() - used)
"""


def write(file: Path, rows: int) -> None:
    """A panel of 100 series, hourly."""
    random = np.random.default_rng(7)
    each = rows // 100
    ts = np.datetime64("2015-01-01", "s") + np.arange(each) * np.timedelta64(3600, "s")
    table = pa.table(
        {
            "ts": np.tile(ts, 100),
            "shop": np.repeat(np.array([f"shop{i:03}" for i in range(100)]), each),
            "y": random.normal(100, 10, each * 100).round(3),
            "z": random.integers(0, 1000, each * 100),
        }
    )
    arrow_csv.write_csv(table, file)


def read(how: str, small: Path, file: Path) -> tuple[float, float]:
    """Seconds that pyarrow takes, on the clock and of processors."""
    command = [sys.executable, "-c", READ, how, str(small), str(file)]
    wall, cpu = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    return float(wall), float(cpu)


def ratio(taken: dict[str, list[tuple[float, float]]], name: str, which: int) -> float:
    """Validation over a peer, round by round: the median."""
    pairs = zip(taken["validation"], taken[name], strict=True)
    return statistics.median(ours[which] / theirs[which] for ours, theirs in pairs)


async def measure(rows: int, rounds: int, files: int) -> dict[str, object]:
    """All numbers, by name."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.csv", Path(folder) / "large.csv"
        write(small, 1_000)
        write(large, rows)
        size = large.stat().st_size
        taken: dict[str, list[tuple[float, float]]] = {
            "validation": [],
            "pyarrow, by blocks": [],
            "pyarrow, at once": [],
        }
        peak = 0
        async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
            for name in (small, *[large] * rounds):
                report = await check_table(sandbox, SetFile(name.name, name, size, ""), CONTRACT, lambda *_: None, b"")
                if not report.summary.get("complete") or (report.findings and name is large):
                    raise SystemExit(f"The file is not valid: {report.findings}.")
                if name is small:
                    continue
                peak = max(peak, report.peak_bytes)
                taken["validation"].append((report.seconds, report.cpu_seconds))
                taken["pyarrow, by blocks"].append(await asyncio.to_thread(read, "blocks", small, large))
                taken["pyarrow, at once"].append(await asyncio.to_thread(read, "once", small, large))
            many = [SetFile(f"{i}.csv", small, 1, f"{i}") for i in range(files)]
            began = time.perf_counter()
            await check_set(many, CONTRACT, sandbox=sandbox)
            per_file = (time.perf_counter() - began) / files
    return {
        "rows": rows,
        "bytes": size,
        "seconds": {
            name: [statistics.median(each) for each in zip(*rounds, strict=True)] for name, rounds in taken.items()
        },
        "ratios": {name: [ratio(taken, name, which) for which in (0, 1)] for name in list(taken)[1:]},
        "peak_bytes": peak,
        "seconds_per_file_of_1000_rows": per_file,
    }


def main() -> int:
    """Measure and print; 1 if a bound is not kept."""
    parser = argparse.ArgumentParser("benchmarks.validation")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    facts = machine.facts(["pyarrow", "numpy"])
    found = asyncio.run(measure(arguments.rows, arguments.rounds, arguments.files))
    for name, value in facts.items():
        print(f"{name}: {value}")
    print(f"\n{found['rows']:,} rows, {found['bytes']:,} bytes of CSV; medians of {arguments.rounds} rounds\n")
    print("| | seconds | of processors | validation takes | of processors |\n|---|---|---|---|---|")
    for name, (wall, cpu) in found["seconds"].items():
        ratios = found["ratios"].get(name, ())
        print(f"| {name} | {wall:.3f} | {cpu:.3f} | {' | '.join(f'{each:.2f} times' for each in ratios) or '| '} |")
    print(f"\npeak memory of the child: {found['peak_bytes'] / 2**20:.0f} MiB")
    print(f"a file of 1,000 rows among many: {found['seconds_per_file_of_1000_rows'] * 1000:.1f} ms")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": facts, **found}, indent=2) + "\n")
    kept = found["ratios"]["pyarrow, by blocks"][0] <= MOST_RATIO and found["peak_bytes"] < MOST_BYTES
    print(f"\n{'kept' if kept else 'NOT KEPT'}: at most {MOST_RATIO} times pyarrow by blocks, below 300 MiB")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
