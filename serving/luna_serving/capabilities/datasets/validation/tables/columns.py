"""What the columns of a table could be, by its first rows. Runs in a child of the sandbox."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from luna_serving.capabilities.datasets.validation.sandbox.server import Emit
from luna_serving.capabilities.datasets.validation.tables import text
from luna_serving.capabilities.datasets.validation.tables.csv_head import head_of
from luna_serving.capabilities.datasets.validation.tables.csv_reader import NULLS
from luna_serving.capabilities.datasets.validation.tables.formats import Format
from luna_serving.capabilities.datasets.validation.tables.opening import opened
from luna_serving.capabilities.datasets.validation.tables.recognising import Recognised, recognised
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally

_ROWS: Final = 5_000
_BYTES: Final = 256 << 10


def columns(arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Look at the first rows of a table.

    Args:
        arguments: `file`, its place on this machine; `path`, its name in the set.
        emit: not used.

    Returns:
        `columns`: name, `kind` (time, number, text, other) and `distinct` values among the rows; empty if the file
        cannot be read, which its validation reports.
    """
    del emit
    file = Path(arguments["file"])
    tally = Tally(arguments["path"], lambda _: None)
    try:
        table = _first_rows(file, recognised(file, arguments["path"], tally), tally)
    except (Stopped, pa.ArrowException, OSError, ValueError):
        return {"columns": []}
    return {
        "rows": table.num_rows,
        "columns": [
            {"name": name, "kind": _kind(column), "distinct": _distinct(column)}
            for name, column in zip(table.column_names, table.columns, strict=True)
        ],
    }


def _first_rows(file: Path, what: Recognised, tally: Tally) -> pa.Table:
    match what.format:
        case Format.CSV:
            with opened(file, what.compression) as stream:
                beginning = stream.read(_BYTES)
            if len(beginning) == _BYTES:
                beginning = beginning[: beginning.rfind(b"\n") + 1]
            return arrow_csv.read_csv(
                pa.BufferReader(beginning),
                read_options=arrow_csv.ReadOptions(use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=head_of(beginning, (), tally).delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=lambda _: "skip",
                ),
                convert_options=arrow_csv.ConvertOptions(null_values=list(NULLS), strings_can_be_null=True),
            )
        case Format.PARQUET:
            parquet = pq.ParquetFile(file, memory_map=False, pre_buffer=False)
            batches = [next(parquet.iter_batches(_ROWS, use_threads=False), None)]
            schema = parquet.schema_arrow
        case Format.ARROW_FILE:
            arrow = pa.ipc.open_file(pa.OSFile(str(file)))
            batches = [arrow.get_batch(0) if arrow.num_record_batches else None]
            schema = arrow.schema
        case _:
            arrow = pa.ipc.open_stream(pa.OSFile(str(file)))
            batches, schema = [next(iter(arrow), None)], arrow.schema
    found = [batch.slice(0, _ROWS) for batch in batches if batch is not None]
    for batch in found:
        batch.validate(full=True)
    return pa.Table.from_batches(found, schema)


def _kind(column: pa.ChunkedArray) -> str:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        return "other"
    words = pa.chunked_array(column.cast(pa.string())).combine_chunks()
    if isinstance(words, pa.ChunkedArray):
        words = pa.concat_arrays(words.chunks) if words.num_chunks else pa.array([], pa.string())
    parsed, _ = text.times(words)
    present = len(words) - words.null_count
    return "time" if present and int(parsed.bad.sum()) < present / 2 else "text"


def _distinct(column: pa.ChunkedArray) -> int:
    try:
        return len(column.unique())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return 0
