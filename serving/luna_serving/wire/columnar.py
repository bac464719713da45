"""Tables as Arrow IPC streams and Parquet files: reading them within bounds, and writing them."""

import io
import struct
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import ARROW, PARQUET

FORMS: Final = (ARROW, PARQUET)
# Codecs that cannot expand a body by more than a factor of about 20; zstd and gzip can, by a thousand and more.
PARQUET_CODECS: Final = frozenset({"UNCOMPRESSED", "SNAPPY"})
# Flatbuffers of the Arrow format (Message.fbs): the header of a message, the record batch in a dictionary batch, and
# the compression of a record batch.
_HEADER: Final = 2
_OF_DICTIONARY: Final = 1
_COMPRESSION: Final = 3


class _Bad(Exception):
    """The table cannot be accepted; the text says why, and the cure."""


def read_table(body: bytes, media_type: str, columns: Sequence[str], most_rows: int) -> pa.Table:
    """Read a table.

    Args:
        body: an Arrow IPC stream or a Parquet file.
        media_type: ARROW or PARQUET.
        columns: the names that it may have.
        most_rows: that it may have.

    Raises:
        Problem: 422, it cannot be read, is compressed inside in a way that could exhaust memory, or has other columns
            or more rows; pointers name columns.
    """
    try:
        table = _stream(body, columns, most_rows) if media_type == ARROW else _file(body, columns, most_rows)
    except (pa.ArrowException, struct.error, ValueError, OSError) as e:
        raise problems.invalid(FieldError("", f"Cannot be read as {media_type}: {str(e)[:200]}.")) from e
    except _Bad as e:
        raise problems.invalid(FieldError("", str(e))) from e
    return table


def written(table: pa.Table, form: str) -> bytes:
    """A table as an Arrow IPC stream or as Parquet."""
    sink = io.BytesIO()
    if form == ARROW:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def _stream(body: bytes, columns: Sequence[str], most_rows: int) -> pa.Table:
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
        if _compressed(message.type, message.metadata.to_pybytes()):
            raise _Bad(
                "Its record batches are compressed. Write it without compression; the whole body may be compressed "
                "with Content-Encoding: zstd or gzip."
            )
    with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
        _check_names(reader.schema, columns)
        batches, rows = [], 0
        for batch in reader:
            batches.append(batch)
            rows += batch.num_rows
            _check_rows(rows, most_rows)
        table = pa.Table.from_batches(batches, reader.schema)
    table.validate(full=True)
    return table


def _file(body: bytes, columns: Sequence[str], most_rows: int) -> pa.Table:
    file = pa.parquet.ParquetFile(pa.BufferReader(body))
    _check_names(file.schema_arrow, columns)
    _check_rows(file.metadata.num_rows, most_rows)
    for group in range(file.metadata.num_row_groups):
        for index in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(index)
            if chunk.compression not in PARQUET_CODECS:
                raise _Bad(f"Its columns are compressed with {chunk.compression}. Write it with snappy, or without.")
    return file.read()


def _check_names(schema: pa.Schema, columns: Sequence[str]) -> None:
    unknown = [name for name in schema.names if name not in columns]
    twice = [name for name in dict.fromkeys(schema.names) if schema.names.count(name) > 1]
    errors = [FieldError(f"/{_escaped(name)}", f"Is no column. Use {', '.join(columns)}.") for name in unknown[:10]]
    errors += [FieldError(f"/{_escaped(name)}", "Is there twice.") for name in twice[:10] if name in columns]
    if errors:
        raise problems.invalid(*errors)


def _check_rows(rows: int, most: int) -> None:
    if rows > most:
        raise _Bad(f"Has more than {most} rows. Send them in several requests.")


def _escaped(name: str) -> str:
    return name[:64].replace("~", "~0").replace("/", "~1")


def _compressed(kind: str, metadata: bytes) -> bool:
    """Whether the metadata of a message declares a compressed body."""
    path = {"record batch": (_HEADER,), "dictionary": (_HEADER, _OF_DICTIONARY)}.get(kind)
    if path is None:
        return False
    table = struct.unpack_from("<I", metadata, 0)[0]
    for field in path:
        at = _field(metadata, table, field)
        if at is None:
            return False
        table = at + struct.unpack_from("<I", metadata, at)[0]
    return _field(metadata, table, _COMPRESSION) is not None


def _field(data: bytes, table: int, index: int) -> int | None:
    """Where a flatbuffer table keeps a field; None where it has none."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    at = 4 + 2 * index
    if vtable < 0 or at >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + at)[0]
    return table + offset if offset else None
