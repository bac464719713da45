"""Makes a market of a valid set of bars: the file that replicas map, and what the rows of the market say."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.canonical.building import GROUP_ROWS
from luna_serving.capabilities.datasets.validation.canonical.reading import CanonicalCopy
from luna_serving.capabilities.datasets.validation.contract import OhlcvContract
from luna_serving.prices.files import BarsWriter
from luna_serving.prices.intervals import Interval, of_spacing
from luna_store.prices.publishing import Contents, InstrumentRow, SeriesRow

# What `/symbols` can show and callers can ask for.
LONGEST_SYMBOL: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Market:
    """A market that was made of a set."""

    file: Path
    contents: Contents


def market_of(copy: Path, contract: OhlcvContract, target: Path) -> Market:
    """Write the bars of a canonical copy as replicas map them.

    The rows have the same order in both files. Holds one row group in memory.

    Args:
        copy: the canonical copy.
        contract: of the set.
        target: the file to write.
    """
    index = CanonicalCopy(copy)
    names, counts = index.series, index.lengths(index.series)
    firsts: list[NDArray[np.int64]] = []
    columns = [*contract.value_columns, *([] if contract.volume is not None else [None])]
    with pq.ParquetFile(copy, memory_map=True) as file, BarsWriter(target) as writer:
        wanted = [file.schema_arrow.names[1], *contract.value_columns]
        for batch in file.iter_batches(GROUP_ROWS, columns=wanted, use_threads=False):
            us = batch.column(0).cast(pa.int64()).to_numpy()
            missing = np.full(us.size, np.nan)
            writer.write(us, np.stack([missing if c is None else _numbers(batch, c) for c in columns]))
            firsts.append(us)
    times = np.concatenate(firsts)
    symbols = symbols_of(names, contract)
    interval = _interval(times, counts, contract)
    series = []
    start = 0
    for symbol, count in zip(symbols, counts, strict=True):
        if symbol is not None:
            last = int(times[start + count - 1])
            series.append(SeriesRow(symbol, interval.value, start, count, int(times[start]), last))
        start += count
    with target.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    latest = max((each.last_us for each in series), default=0)
    instruments = [InstrumentRow(each.symbol) for each in series]
    last_at = _EPOCH + timedelta(microseconds=latest)
    return Market(target, Contents(instruments, series, digest, target.stat().st_size, last_at))


def symbols_of(names: Sequence[str], contract: OhlcvContract) -> Sequence[str | None]:
    """The symbols of series: their names, or where each file is a series the file's name without its ending.

    None for a name that cannot be a symbol; its bars are used by the name of the set only.
    """
    symbols = list(names)
    if contract.series_column is None:
        stems = [PurePosixPath(name).name.split(".")[0] for name in names]
        symbols = stems if len(set(stems)) == len(stems) else symbols
    return [each if each and len(each) <= LONGEST_SYMBOL and each.isprintable() else None for each in symbols]


def _interval(times: NDArray[np.int64], counts: Sequence[int], contract: OhlcvContract) -> Interval:
    """That of the contract, or the one that most bars keep to."""
    spacing = contract.frequency.microseconds if contract.frequency is not None else None
    if spacing is None:
        inside = np.ones(times.size, bool)
        inside[np.cumsum([0, *counts[:-1]])] = False
        spacings = np.diff(times, prepend=times[:1])[inside]
        if not spacings.size:
            return Interval.DAY
        values, found = np.unique(spacings, return_counts=True)
        spacing = int(values[np.argmax(found)])
    return of_spacing(timedelta(microseconds=spacing))


def _numbers(batch: pa.RecordBatch, name: str) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = batch.column(name).to_numpy(zero_copy_only=False)
    return numbers
