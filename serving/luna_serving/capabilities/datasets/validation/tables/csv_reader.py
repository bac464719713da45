"""Reads CSV. First with the types that the beginning suggests; if a cell does not fit, again as text, cell by cell."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.contract import TableContract
from luna_serving.capabilities.datasets.validation.findings import Rule
from luna_serving.capabilities.datasets.validation.tables import rules, text
from luna_serving.capabilities.datasets.validation.tables.ahead import ahead
from luna_serving.capabilities.datasets.validation.tables.chunks import Chunk, Restart, Shape, numeric, wanted
from luna_serving.capabilities.datasets.validation.tables.csv_head import Head, head_of, report_missing
from luna_serving.capabilities.datasets.validation.tables.formats import Compression
from luna_serving.capabilities.datasets.validation.tables.opening import Bounded
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally, shortened

BLOCK_BYTES: Final = 2 << 20
NULLS: Final = ("", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "None")
"""Missing values. NaN is a number that is not one, and is reported apart."""
_TYPED_BYTES: Final = 256 << 10
"""From which types are taken."""
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())


class CsvReader:
    """Reads one CSV file."""

    def __init__(
        self, path: Path, compression: Compression, contract: TableContract, tally: Tally, *, as_text: bool
    ) -> None:
        """Read the beginning.

        Args:
            path: of the file.
            compression: of the whole file.
            contract: names the columns that are checked.
            tally: takes the findings.
            as_text: read every cell as text, and parse it here.

        Raises:
            Stopped: the file has no usable header.
        """
        self._path, self._compression, self._contract, self._tally = path, compression, contract, tally
        self._as_text = as_text
        start = self._open()
        try:
            self._beginning = b"".join(iter(_up_to(start, 1 << 20), b""))
        finally:
            start.close()
        self._head: Head = head_of(self._beginning, wanted(contract), tally)
        self.shape = Shape("csv" if compression is Compression.NONE else f"csv, {compression}")
        self.shape.columns = dict.fromkeys(self._head.header, "text")
        self.shape.missing = report_missing(self._head.header, wanted(contract), tally)
        if contract.time_column in self.shape.missing or contract.series_column in self.shape.missing:
            raise Stopped
        self._numeric = numeric(contract)
        self._skipped: list[int] = []

    def _open(self) -> Bounded:
        return Bounded(self._path, self._compression, self._tally)

    def chunks(self) -> Iterator[Chunk]:
        """The rows; see `chunks.Reader`."""
        self.shape.nulls = dict.fromkeys(self.shape.columns, 0)
        source = self._open()
        kept = 0
        try:
            types = self._text_types() if self._as_text else self._suggested()
            reader = self._reader(source, types)
            self._check_names(reader.schema.names)
            with closing(ahead(iter(reader))) as batches:
                for batch in batches:
                    rows = self._rows(kept, batch.num_rows)
                    kept += batch.num_rows
                    yield self._chunk(batch, rows)
        except pa.ArrowInvalid as error:
            self._translate(error, source, int(self._rows(kept, 1)[0]))
        finally:
            source.close()
        self._report_ragged()

    def _check_names(self, names: list[str]) -> None:
        """The header as Arrow reads it: quotation marks in odd places mean different things to different readers."""
        if tuple(names) != self._head.header:
            message = f"The header can be read in several ways: {shortened(', '.join(names))}."
            self._tally.now(rules.BAD_HEADER, message)
            raise Stopped

    def _reader(self, source: Bounded, types: dict[str, pa.DataType]) -> arrow_csv.CSVStreamingReader:
        return arrow_csv.open_csv(
            source.for_arrow(),
            # One thread: only then rows with a wrong number of fields have a number.
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._head.delimiter, newlines_in_values=True, invalid_row_handler=self._ragged
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                null_values=list(NULLS),
                strings_can_be_null=True,
                check_utf8=not self._as_text,
            ),
        )

    def _suggested(self) -> dict[str, pa.DataType]:
        """Types by what the first rows hold."""
        cut = (
            len(self._beginning)
            if len(self._beginning) < _TYPED_BYTES
            else self._beginning.rfind(b"\n", 0, _TYPED_BYTES)
        )
        inferred = arrow_csv.open_csv(
            pa.BufferReader(self._beginning[: cut + 1 or _TYPED_BYTES]),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=1 << 20),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._head.delimiter, newlines_in_values=True, invalid_row_handler=lambda _: "skip"
            ),
            convert_options=arrow_csv.ConvertOptions(null_values=list(NULLS), strings_can_be_null=True),
        ).schema
        types: dict[str, pa.DataType] = {}
        for name, kind in zip(inferred.names, inferred.types, strict=True):
            self.shape.columns[name] = _shown(kind)
            types[name] = self._type(name, kind)
        return types

    def _type(self, name: str, kind: pa.DataType) -> pa.DataType:
        contract = self._contract
        if name == contract.time_column:
            if pa.types.is_timestamp(kind):
                return pa.timestamp("ns" if kind.unit == "ns" else "us", kind.tz)
            if pa.types.is_date(kind):
                return pa.timestamp("us")
            return kind if pa.types.is_integer(kind) or pa.types.is_floating(kind) else pa.string()
        if name == contract.series_column or name in contract.enums:
            return _DICTIONARY
        return pa.float64() if name in self._numeric else pa.string()

    def _text_types(self) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.shape.columns, pa.binary())

    def _ragged(self, row: Any) -> str:  # noqa: ANN401  an InvalidRow, which Arrow does not name
        if row.number is not None:
            self._skipped.append(row.number - 2)
            if len(self._skipped) == 1:
                self._first_ragged = f"Row has {row.actual_columns} fields; the header has {row.expected_columns}."
        return "skip"

    def _report_ragged(self) -> None:
        if self._skipped:
            rows = np.asarray(self._skipped, np.int64)
            self._tally.rows(rules.RAGGED_ROW, self._first_ragged, rows)

    def _rows(self, kept: int, count: int) -> NDArray[np.int64]:
        rows = np.arange(kept, kept + count, dtype=np.int64)
        if self._skipped:
            skipped = np.asarray(self._skipped, np.int64)
            # As many rows were kept before the j-th skipped one as its number less j.
            rows += np.searchsorted(skipped - np.arange(skipped.size), rows, side="right")
        return rows

    def _chunk(self, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> Chunk:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name, column in columns.items():
            self.shape.nulls[name] += column.null_count
        if not self._as_text:
            return Chunk(rows, columns)
        parsed = {name: self._parsed(name, column, rows) for name, column in columns.items()}
        return Chunk(
            rows,
            {name: each.values for name, each in parsed.items()},
            {name: each.bad for name, each in parsed.items()},
        )

    def _parsed(self, name: str, cells: pa.Array, rows: NDArray[np.int64]) -> text.Parsed:
        decoded = text.utf8(cells)
        self._report(rules.BAD_ENCODING, "is not UTF-8", name, cells, decoded.bad, rows)
        if name == self._contract.series_column or name in self._contract.enums:
            return text.Parsed(pc.dictionary_encode(decoded.values), decoded.bad)
        if name not in self._numeric and name != self._contract.time_column:
            return decoded
        # No number and no time has two lines: a quotation mark before is not closed.
        plain = text.single_lines(decoded.values)
        self._report(rules.QUOTES, "begins with a quotation mark that is not closed", name, cells, plain.bad, rows)
        if name == self._contract.time_column:
            return text.Parsed(plain.values, decoded.bad | plain.bad)
        found = text.numbers(plain.values)
        self._report(rules.WRONG_TYPE, "is no number", name, cells, found.bad, rows)
        return text.Parsed(found.values, decoded.bad | plain.bad | found.bad)

    def _report(
        self, rule: Rule, what: str, name: str, cells: pa.Array, bad: text.Cells, rows: NDArray[np.int64]
    ) -> None:
        at = np.flatnonzero(bad)
        if at.size:
            value = shortened(cells[int(at[0])].as_py())
            self._tally.rows(
                rule,
                f"Column {name!r}: {value!r} {what}.",
                rows[at],
                column=name,
                value=lambda i: cells[int(at[i])].as_py(),
            )

    def _translate(self, error: pa.ArrowInvalid, source: Bounded, row: int) -> None:
        if source.stopped is not None:
            raise source.stopped from error
        message = str(error)
        if not self._as_text and re.search(r"conversion error", message):
            raise Restart from error
        self._report_ragged()
        if "Empty CSV file" in message:
            return
        if "straddl" in message or "block boundaries" in message:
            what = f"A row is longer than {BLOCK_BYTES:,} bytes: a quotation mark is not closed there or before."
            self._tally.now(rules.QUOTES, what, row=row)
        else:
            self._tally.now(rules.UNREADABLE, f"The CSV reader stops: {shortened(message)}", row=row)
        raise Stopped from error


def _up_to(source: Bounded, most: int) -> Callable[[], bytes]:
    left = most

    def read() -> bytes:
        nonlocal left
        data = source.read(left) if left else b""
        left -= len(data)
        return data

    return read


def _shown(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "empty"
    return "text" if pa.types.is_string(kind) or pa.types.is_binary(kind) else str(kind)
