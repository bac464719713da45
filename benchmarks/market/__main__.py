"""`python -m benchmarks.market`: an import of bars beside pyarrow, which copies the same file and checks nothing.

Luna's side is all that costs with the number of bars: reading, the rules, sorting by symbol, and both files of a
version. Each measurement is a process of its own, so that its greatest memory is its own. Needs Linux.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from benchmarks import machine

SYMBOLS = 1000
SHAPES = ("parquet by symbol", "parquet by time", "csv by symbol")
# Seconds of a processor, and the greatest memory above what the imports take.
CHILD = """
import sys, time
from pathlib import Path
side, file, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
import pyarrow as pa, pyarrow.csv as c, pyarrow.parquet as pq
pa.set_cpu_count(1)
from luna_serving.capabilities.market.importing.merging import write_version
from luna_serving.capabilities.market.importing.spooling import Spool
from luna_serving.prices.intervals import Interval
def memory(name):
    # Of this program alone; rusage counts what the parent had when it forked.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
base = memory("VmRSS")
began, used = time.perf_counter(), time.process_time()
if side == "luna":
    with Spool(work / "spool") as spool:
        spool.take(file, Interval.DAY)
        write_version(spool, None, work / "bars.arrow", work / "bars.parquet")
else:
    if file.suffix == ".csv":
        batches = c.open_csv(file, read_options=c.ReadOptions(use_threads=False))
        schema = batches.schema
    else:
        source = pq.ParquetFile(file)
        batches, schema = source.iter_batches(use_threads=False), source.schema_arrow
    with pq.ParquetWriter(work / "copy.parquet", schema, compression="zstd", compression_level=1) as writer:
        for batch in batches:
            writer.write_batch(batch)
print(time.perf_counter() - began, time.process_time() - used, (memory("VmHWM") - base) * 1024)
"""


def write(file: Path, bars: int, *, by_time: bool) -> None:
    """Daily bars of a thousand symbols."""
    each = bars // SYMBOLS
    count = each * SYMBOLS
    random = np.random.default_rng(7)
    close = 100 + random.standard_normal(count).round(2)
    codes, days = np.arange(SYMBOLS, dtype=np.int32), np.datetime64("1980-01-01", "D") + np.arange(each)
    table = pa.table(
        {
            "symbol": pa.DictionaryArray.from_arrays(
                pa.array(np.tile(codes, each) if by_time else np.repeat(codes, each)),
                pa.array([f"S{code:04}" for code in codes]),
            ),
            "date": np.repeat(days, SYMBOLS) if by_time else np.tile(days, SYMBOLS),
            "open": close - 0.5,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": random.integers(0, 10**7, count).astype(float),
        }
    )
    if file.suffix == ".csv":
        arrow_csv.write_csv(table.set_column(0, "symbol", table["symbol"].cast(pa.string())), file)
    else:
        pq.write_table(table, file, use_dictionary=["symbol"])


def run(side: str, file: Path) -> tuple[float, float, float]:
    """Seconds on the clock and of processors, and bytes."""
    with tempfile.TemporaryDirectory(dir=file.parent) as work:
        command = [sys.executable, "-c", CHILD, side, str(file), work]
        out = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    return float(out[0]), float(out[1]), float(out[2])


def measure(bars: int, rounds: int) -> dict[str, dict[str, float]]:
    """All numbers, by shape."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            kind, _, order = shape.partition(" by ")
            file = Path(folder) / f"bars.{kind}"
            write(file, bars, by_time=order == "time")
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(run("luna", file))
                theirs.append(run("pyarrow", file))
            cpu = statistics.median(each[1] for each in ours)
            found[shape] = {
                "bars": bars,
                "bars_per_core_second": bars // SYMBOLS * SYMBOLS / cpu,
                "ratio_to_pyarrow": statistics.median(o[1] / t[1] for o, t in zip(ours, theirs, strict=True)),
                "memory_bytes": max(each[2] for each in ours),
            }
            file.unlink()
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.market", description=__doc__)
    parser.add_argument("--bars", type=int, default=10_000_000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write all numbers to a file")
    options = parser.parse_args(arguments)
    facts = machine.facts(["pyarrow", "numpy"])
    found = measure(options.bars, options.rounds)
    for name, fact in facts.items():
        print(f"{name}: {fact}")
    for shape, numbers in found.items():
        print(
            f"{shape:18}  {numbers['bars_per_core_second'] / 1e6:5.2f} million bars per second and core, "
            f"{numbers['ratio_to_pyarrow']:4.2f} times the copy by pyarrow, {numbers['memory_bytes'] / 2**20:5.0f} MiB"
        )
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, **found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
