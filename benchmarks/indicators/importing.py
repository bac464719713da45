"""The import of a large file, beside the least that any import must do."""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .serving import Imported, run_import
from .workload import make_market

BARS_PER_SYMBOL = 1_260


def write_file(folder: Path, bars: int) -> tuple[Path, int]:
    """A Parquet file of so many bars, or a few less; and how many."""
    symbols = max(bars // BARS_PER_SYMBOL, 1)
    market = make_market(symbols, min(bars, BARS_PER_SYMBOL))
    return market.write(folder / "market.parquet"), symbols * len(market.days)


def rewrite_seconds(file: Path, folder: Path) -> float:
    """Seconds of processor time in which pyarrow reads the file and writes it as Arrow IPC: no checks, no order."""
    begun = time.process_time()
    with (
        pq.ParquetFile(file) as source,
        (folder / "rewritten.arrow").open("wb") as sink,
        pa.ipc.new_file(sink, source.schema_arrow) as writer,
    ):
        for batch in source.iter_batches(1 << 18, use_threads=False):
            writer.write_batch(batch)
    seconds = time.process_time() - begun
    (folder / "rewritten.arrow").unlink()
    return seconds


def measure_import(data_dir: Path, folder: Path, bars: int) -> tuple[Imported, float]:
    """The import, and pyarrow's seconds for the same file."""
    file, written = write_file(folder, bars)
    rewritten = rewrite_seconds(file, folder)
    return run_import(data_dir, file, written), rewritten
