"""Reads files of bars in blocks: Parquet, and CSV, also compressed.

Columns are found by their names, whatever the case: `symbol`, one of `timestamp`, `time`, `datetime` or `date`,
`open`, `high`, `low`, `close`, and, where there is one, `volume` and `interval`. Others are left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luna_serving.capabilities.market.importing.refusals import ImportRefused, Wrong
from luna_serving.engines.indicators.bars import COLUMNS
from luna_serving.prices.intervals import Interval

TIMES: Final = ("timestamp", "time", "datetime", "date")
SYMBOL: Final = "symbol"
INTERVAL: Final = "interval"
BLOCK_ROWS: Final = 1 << 18
_BLOCK_BYTES: Final = 4 << 20
_CSV: Final = (".csv", ".csv.gz", ".csv.zst")
_PARQUET: Final = (".parquet", ".pq")
LONGEST_SYMBOL: Final = 64

Names = tuple[str, ...]


# What pyarrow says of a value in a CSV file that is not of the type that it found in the first rows.
_CONVERSION: Final = re.compile(r"CSV conversion error to (?P<kind>\w+)\S*: invalid value '(?P<value>.*)'")


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a file."""

    file: str
    first_row: int
    symbols: Names
    """The symbols of the block."""
    symbol: NDArray[np.int32]
    """Which of them each row is of [R]."""
    intervals: tuple[Interval, ...]
    interval: NDArray[np.int32]
    """Which of them each row is of [R]."""
    us: NDArray[np.int64]
    """Start of the bar, microseconds since 1970 [R]."""
    values: NDArray[np.float64]
    """`COLUMNS`, NaN where missing [5, R]."""


def blocks_of(path: Path, interval: Interval) -> Iterator[Block]:
    """The rows of a file.

    Args:
        path: of the file.
        interval: of all bars, where the file has no column of intervals.

    Raises:
        ImportRefused: it cannot be read, a column is missing, or a value is of the wrong type.
    """
    name = str(path)
    row = 0
    try:
        for batch in _batches(path):
            if batch.num_rows:
                yield _block(name, row, batch, interval)
                row += batch.num_rows
    except FileNotFoundError as error:
        raise ImportRefused(f"There is no file {name}.") from error
    except (pa.ArrowException, OSError) as error:
        if (found := _CONVERSION.search(str(error))) is not None:
            kind = "number" if found["kind"] == "double" else "date or time of ISO 8601"
            wrong = f"{found['value'][:LONGEST_SYMBOL]!r} is no {kind}"
            raise ImportRefused(f"{name}, after row {row:,}: {wrong}, as the rows before have it.") from error
        raise ImportRefused(f"{name} cannot be read, from about row {row:,}: {_first_line(error)}") from error


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    lower = path.name.lower()
    if lower.endswith(_PARQUET):
        with pq.ParquetFile(path, memory_map=True) as file:
            columns = _found(str(path), file.schema_arrow.names)
            words = [columns[name] for name in (SYMBOL, INTERVAL) if name in columns]
        with pq.ParquetFile(path, memory_map=True, read_dictionary=words) as file:
            order = list(columns.values())
            for batch in file.iter_batches(BLOCK_ROWS, columns=order, use_threads=False):
                yield batch.select(order).rename_columns(list(columns))
    elif lower.endswith(_CSV):
        yield from _csv_batches(path)
    else:
        raise ImportRefused(f"{path} is neither Parquet nor CSV: its name must end with {', '.join(_PARQUET + _CSV)}.")


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    options = pa.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    with pa.input_stream(str(path)) as stream, pa.csv.open_csv(stream, read_options=options) as head:
        columns = _found(str(path), head.schema.names)
    words = pa.dictionary(pa.int32(), pa.string())
    types = {source: words if name in (SYMBOL, INTERVAL) else pa.float64() for name, source in columns.items()}
    types.pop(columns["timestamp"])
    convert = pa.csv.ConvertOptions(
        column_types=types,
        include_columns=list(columns.values()),
        # Symbols such as NA and NULL are symbols.
        null_values=["", "null", "NULL", "NaN", "nan", "NA", "N/A"],
        strings_can_be_null=False,
    )
    with (
        pa.input_stream(str(path)) as stream,
        pa.csv.open_csv(stream, read_options=options, convert_options=convert) as reader,
    ):
        for batch in reader:
            yield batch.rename_columns(list(columns))


def _found(file: str, names: Sequence[str]) -> Mapping[str, str]:
    """The file's names of the columns that are read, by ours.

    Raises:
        ImportRefused: one is missing, or there twice.
    """
    lower: dict[str, str] = {}
    for name in names:
        if name.strip().lower() in lower:
            raise ImportRefused(f"{file} has two columns called {name!r}: remove one.")
        lower[name.strip().lower()] = name
    times = [name for name in TIMES if name in lower]
    missing = [name for name in (SYMBOL, *COLUMNS[:4]) if name not in lower]
    if not times:
        missing.insert(1, " or ".join(TIMES))
    if missing:
        raise ImportRefused(f"{file} has no column {', '.join(missing)}; it has {', '.join(names)}.")
    optional = [name for name in (INTERVAL, COLUMNS[4]) if name in lower]
    return {"timestamp": lower[times[0]]} | {name: lower[name] for name in (SYMBOL, *COLUMNS[:4], *optional)}


def _block(file: str, row: int, batch: pa.RecordBatch, interval: Interval) -> Block:
    symbol, symbols = _words(file, row, batch.column(SYMBOL), SYMBOL)
    bad = [i for i, each in enumerate(symbols) if not _is_symbol(each)]
    if bad:
        at = int(np.flatnonzero(np.isin(symbol, bad))[0])
        wrong = Wrong(file, row + at, repr(symbols[symbol[at]])[:LONGEST_SYMBOL], "Is no symbol.")
        raise ImportRefused(
            f"A symbol has 1 to {LONGEST_SYMBOL} printable characters, without spaces around it.", (wrong,), 1
        )
    which = np.zeros(batch.num_rows, np.int32)
    intervals: tuple[Interval, ...] = (interval,)
    if INTERVAL in batch.schema.names:
        which, words = _words(file, row, batch.column(INTERVAL), INTERVAL)
        intervals = tuple(_interval(file, row, which, words, i) for i in range(len(words)))
    values = np.empty((len(COLUMNS), batch.num_rows))
    for i, name in enumerate(COLUMNS):
        if name in batch.schema.names:
            values[i] = _numbers(batch.column(name))
        else:
            values[i] = np.nan
    return Block(file, row, symbols, symbol, intervals, which, _times(file, row, batch.column("timestamp")), values)


def _words(file: str, row: int, column: pa.Array, name: str) -> tuple[NDArray[np.int32], Names]:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if column.null_count:
        at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise ImportRefused(f"The column {name} is empty.", (Wrong(file, row + at, "?", f"Has no {name}."),), 1)
    numbers: NDArray[np.int32] = column.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return numbers, tuple(column.dictionary.to_pylist())


def _is_symbol(word: str) -> bool:
    return 0 < len(word) <= LONGEST_SYMBOL and word.isprintable() and word.strip() == word


def _interval(file: str, row: int, which: NDArray[np.int32], words: Names, number: int) -> Interval:
    try:
        return Interval(words[number])
    except ValueError:
        there = np.flatnonzero(which == number)
        if not there.size:
            return Interval.DAY  # a word of the dictionary that no row of this block uses
        wrong = Wrong(file, row + int(there[0]), "?", f"{words[number][:LONGEST_SYMBOL]!r} is no interval.")
        raise ImportRefused(f"Intervals are {', '.join(Interval)}.", (wrong,), 1) from None


def _numbers(column: pa.Array) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _times(file: str, row: int, column: pa.Array) -> NDArray[np.int64]:
    kind: Any = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _parsed(file, row, column)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    else:
        raise ImportRefused(f"{file}: times are of type {kind}. Write dates, or times as ISO 8601 or as timestamps.")
    if column.null_count:
        at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise ImportRefused("Each bar has a time.", (Wrong(file, row + at, "?", "Has no time."),), 1)
    times: NDArray[np.int64] = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return times


def _parsed(file: str, row: int, column: pa.Array) -> pa.Array:
    """Text as times: all with an offset, or all without, in UTC.

    Raises:
        ImportRefused: one is no time, or differs from the first in this.
    """
    aware, naive = pa.timestamp("us", "UTC"), pa.timestamp("us")
    kind = aware if _is_time(column[:1], aware) else naive
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        first, stop = 0, len(column)
        while stop - first > 1:
            middle = (first + stop) // 2
            if _is_time(column[first:middle], kind):
                first = middle
            else:
                stop = middle
        text = column[first].as_py()
        offset = " without an offset, as the first one has" if _is_time(column[first : first + 1], naive) else ""
        if kind is naive and _is_time(column[first : first + 1], aware):
            offset = " with an offset, which the first one does not have"
        what = f"{text[:LONGEST_SYMBOL]!r} is {'a time' + offset if offset else 'no date or time'}."
        cure = "Write dates, or times of ISO 8601 such as 2012-12-03T15:30:00Z, all with an offset or all without."
        raise ImportRefused(cure, (Wrong(file, row + first, "?", what),), 1) from None


def _is_time(column: pa.Array, kind: pa.DataType) -> bool:
    try:
        column.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
