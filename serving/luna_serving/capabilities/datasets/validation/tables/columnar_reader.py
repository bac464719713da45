"""Reads Parquet and Arrow IPC. Sizes in a footer are claims: what rows and widths would take is computed first."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from luna_serving.capabilities.datasets.validation.contract import TableContract
from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.ahead import ahead
from luna_serving.capabilities.datasets.validation.tables.chunks import Chunk, Shape, numeric, wanted
from luna_serving.capabilities.datasets.validation.tables.csv_head import MOST_COLUMNS, report_missing
from luna_serving.capabilities.datasets.validation.tables.formats import Format
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally, shortened

BATCH_ROWS: Final = 64 * 1024
GREATEST_ROWS: Final = 200_000_000
GREATEST_BYTES: Final = 16 << 30
"""Rows times the width of the columns."""
GREATEST_RATIO: Final = 1_000
_RATIO_FROM: Final = 256 << 20
_VARIABLE_BYTES: Final = 16
"""Of a cell of text: its offset and a short word."""


class ColumnarReader:
    """Reads one Parquet or Arrow file."""

    def __init__(self, path: Path, kind: Format, contract: TableContract, tally: Tally) -> None:
        """Read the schema.

        Raises:
            Stopped: the file is damaged, too large, or lacks a column without which nothing can be checked.
        """
        self._path, self._kind, self._contract, self._tally = path, kind, contract, tally
        self.shape = Shape(kind.value)
        self._file: Any
        self._stated: int | None = None
        try:
            schema = self._opened()
        except (pa.ArrowException, OSError, ValueError) as error:
            tally.now(rules.UNREADABLE, f"The {kind} file cannot be opened: {shortened(error)}")
            raise Stopped from error
        names = schema.names
        if len(names) > MOST_COLUMNS:
            tally.now(rules.TOO_LARGE, f"The table has {len(names):,} columns; at most {MOST_COLUMNS:,} are read.")
            raise Stopped
        if twice := {name for name in names if names.count(name) > 1}:
            tally.now(rules.BAD_HEADER, f"Column {min(twice)!r} is there {names.count(min(twice))} times.")
            raise Stopped
        self.shape.columns = {field.name: str(field.type) for field in schema}
        self.shape.missing = report_missing(names, wanted(contract), tally)
        if contract.time_column in self.shape.missing or contract.series_column in self.shape.missing:
            raise Stopped
        self._read = [name for name in wanted(contract) if name not in self.shape.missing]
        self._numeric = numeric(contract)
        self._check_types(schema)
        self._guard(schema)

    def _opened(self) -> pa.Schema:
        match self._kind:
            case Format.PARQUET:
                names = {self._contract.series_column or "", *self._contract.enums} - {""}
                self._file = pq.ParquetFile(
                    self._path, memory_map=False, pre_buffer=False, read_dictionary=sorted(names) or None
                )
                self._stated = self._file.metadata.num_rows
                return self._file.schema_arrow
            case Format.ARROW_FILE:
                self._file = pa.ipc.open_file(pa.OSFile(str(self._path)))
            case _:
                self._file = pa.ipc.open_stream(pa.OSFile(str(self._path)))
        return self._file.schema

    def chunks(self) -> Iterator[Chunk]:
        """The rows; see `chunks.Reader`."""
        self.shape.nulls = dict.fromkeys(self._read, 0)
        read = 0
        try:
            with closing(ahead(self._batches())) as batches:
                for batch in batches:
                    for name, column in zip(batch.schema.names, batch.columns, strict=True):
                        self.shape.nulls[name] += column.null_count
                    rows = np.arange(read, read + batch.num_rows, dtype=np.int64)
                    read += batch.num_rows
                    yield Chunk(rows, {name: self._typed(name, batch.column(name)) for name in self._read})
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            self._tally.now(rules.UNREADABLE, f"The {self._kind} reader stops: {shortened(error)}", row=read)
            raise Stopped from error
        if self._stated is not None and read != self._stated:
            message = f"The footer says {self._stated:,} rows; the file has {read:,}."
            self._tally.now(rules.UNREADABLE, message, row=min(read, self._stated))

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._kind is Format.PARQUET:
            yield from self._file.iter_batches(BATCH_ROWS, columns=self._read, use_threads=False)
            return
        batches = (
            (self._file.get_batch(i) for i in range(self._file.num_record_batches))
            if self._kind is Format.ARROW_FILE
            else self._file
        )
        for batch in batches:
            # Offsets of Arrow IPC are not checked on reading: without this they may lead anywhere in memory.
            batch.validate(full=True)
            chosen = batch.select(self._read)
            for start in range(0, chosen.num_rows, BATCH_ROWS):
                yield chosen.slice(start, BATCH_ROWS)

    def _typed(self, name: str, column: pa.Array) -> pa.Array:
        if name == self._contract.time_column:
            return column
        if name == self._contract.series_column or name in self._contract.enums:
            if pa.types.is_dictionary(column.type):
                return column
            return pc.dictionary_encode(column if _text(column.type) else column.cast(pa.string()))
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        return column.cast(pa.float64(), safe=False)

    def _check_types(self, schema: pa.Schema) -> None:
        for name in self._read:
            kind = schema.field(name).type
            inner = kind.value_type if pa.types.is_dictionary(kind) else kind
            if name == self._contract.time_column:
                fits = pa.types.is_timestamp(kind) or pa.types.is_date(kind) or _number(inner) or _text(inner)
                what = "times"
            elif name in self._numeric:
                fits, what = _number(inner), "numbers"
            else:
                fits, what = _text(inner) or pa.types.is_integer(inner) or pa.types.is_boolean(inner), "names"
            if not fits and not pa.types.is_null(kind):
                message = f"Column {name!r} is {kind}; the contract wants {what}."
                self._tally.now(rules.WRONG_TYPE, message, column=name, value=str(kind))
                if name in {self._contract.time_column, self._contract.series_column}:
                    raise Stopped
        self._read = [name for name in self._read if self._readable(schema.field(name).type, name)]

    def _readable(self, kind: pa.DataType, name: str) -> bool:
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        return name not in self._numeric or _number(inner) or pa.types.is_null(inner)

    def _guard(self, schema: pa.Schema) -> None:
        """Refuse what would unpack to more than may be read."""
        if self._stated is None:
            return
        width = sum(_width(schema.field(name).type) for name in self._read)
        size, needed = max(1, self._path.stat().st_size), self._stated * width
        if self._stated > GREATEST_ROWS or needed > GREATEST_BYTES:
            self._tally.now(
                rules.TOO_LARGE,
                f"{self._stated:,} rows of {width} bytes are {needed:,} bytes; at most {GREATEST_ROWS:,} rows and "
                f"{GREATEST_BYTES:,} bytes are read.",
            )
            raise Stopped
        if needed > _RATIO_FROM and needed / size > GREATEST_RATIO:
            self._tally.now(rules.BOMB, f"{size:,} bytes unpack to {needed:,}; at most {GREATEST_RATIO} times is read.")
            raise Stopped


def _width(kind: pa.DataType) -> int:
    try:
        bits: int = kind.bit_width
    except ValueError:
        return _VARIABLE_BYTES
    return max(1, bits // 8)


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
