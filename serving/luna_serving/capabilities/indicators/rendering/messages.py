"""Record batches of Arrow's IPC format, laid out so that numbers are computed where they are sent from.

Compression is per buffer: one whose length prefix is -1 is plain ("Arrow Columnar Format", serialization and
interprocess communication, BodyCompression). Numbers, which hardly compress, are plain here; columns of nulls, names
and times are compressed once and written many times. pyarrow's writer compresses all or nothing.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

CODEC: Final = "zstd"
"""Runs of zeros, which most columns of a table are, shrink to nothing; LZ4 keeps 1/255 of them."""
END: Final = struct.pack("<iI", -1, 0)
"""The end of a stream."""
Bytes = NDArray[np.uint8]
_PLAIN: Final = struct.pack("<q", -1)
_WRITTEN: Final = pa.ipc.IpcWriteOptions(compression=CODEC)
# Of a Message: header and body's length; of a RecordBatch: rows, field nodes, buffers (Message.fbs, in order).
_HEADER, _BODY_LENGTH, _ROWS, _NODES, _BUFFERS = 2, 3, 0, 1, 2


def packed(data: Bytes) -> bytes:
    """A buffer of a record batch, compressed."""
    compressed: bytes = pa.compress(data, codec=CODEC, asbytes=True)
    return struct.pack("<q", data.nbytes) + compressed


@lru_cache(maxsize=256)
def zeros(size: int) -> bytes:
    """A buffer of so many bytes, all 0, compressed."""
    return packed(np.zeros(size, np.uint8))


@lru_cache(maxsize=256)
def repeated(code: int, rows: int) -> bytes:
    """The values of a column of codes that are all the same, compressed."""
    return packed(np.full(rows, code, np.int32).view(np.uint8))


@dataclass(frozen=True, slots=True)
class Constant:
    """A column that is known before anything is computed."""

    values: bytes
    """Compressed."""
    null: bool = False
    """Whether all of it is null."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column of numbers is written, in bytes from the start of a message."""

    validity: int
    values: int
    nulls: int
    """Where the number of nulls is, an int64."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One record batch, whose size and places are known before its numbers are."""

    rows: int
    size: int
    """Bytes of the message."""
    fixed: Sequence[tuple[int, bytes]]
    """Bytes that do not depend on numbers, by their place."""
    places: Sequence[Place]
    """Of the columns of numbers, in order."""

    def begin(self, message: Bytes) -> list[NDArray[np.float64]]:
        """Write all but the numbers; returns the columns to write those into, each [rows]."""
        for at, data in self.fixed:
            message[at : at + len(data)] = np.frombuffer(data, np.uint8)
        return [message[each.values : each.values + 8 * self.rows].view(np.float64) for each in self.places]

    def finish(self, message: Bytes, columns: Sequence[NDArray[np.float64]]) -> None:
        """Mark what is not finite as null, once the columns of `begin` are complete."""
        for place, column in zip(self.places, columns, strict=True):
            there = np.isfinite(column)
            bits = np.packbits(there, bitorder="little")
            message[place.validity : place.validity + len(bits)] = bits
            nulls = self.rows - int(np.count_nonzero(there))
            message[place.nulls : place.nulls + 8] = np.frombuffer(struct.pack("<q", nulls), np.uint8)


class Messages:
    """Lays out the record batches of a stream. Their metadata differ in numbers only, which have fixed places in it."""

    def __init__(self, schema: pa.Schema, dictionaries: Mapping[str, pa.Array]) -> None:
        """Have pyarrow write a stream of one row, and keep what all batches share.

        Args:
            schema: of the stream: columns of codes (int32), times and numbers (float64).
            dictionaries: of the columns of codes, by name.
        """
        row = [
            pa.DictionaryArray.from_arrays(
                pa.array([0 if len(dictionaries[field.name]) else None], pa.int32()), dictionaries[field.name]
            )
            if field.name in dictionaries
            else pa.array([0]).cast(field.type)
            for field in schema
        ]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema, options=_WRITTEN) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(row, schema=schema))
        head, metadata = [], b""
        for message in pa.ipc.MessageReader.open_stream(sink.getvalue()):
            if message.type == "record batch":
                metadata = message.metadata.to_pybytes()
            else:
                head.append(message.serialize().to_pybytes())
        self.head: bytes = b"".join(head)
        """The schema and the dictionaries."""
        self._metadata = metadata + bytes(-len(metadata) % 8)
        batch = _table(self._metadata, _field(self._metadata, _root(self._metadata), _HEADER))
        self._body_length = _field(self._metadata, _root(self._metadata), _BODY_LENGTH)
        self._rows = _field(self._metadata, batch, _ROWS)
        # A vector begins with the number of its elements.
        self._nodes = _table(self._metadata, _field(self._metadata, batch, _NODES)) + 4
        self._buffers = _table(self._metadata, _field(self._metadata, batch, _BUFFERS)) + 4

    def layout(self, rows: int, columns: Sequence[Constant | None]) -> Layout:
        """A record batch.

        Args:
            rows: at least 1.
            columns: as in the schema; None: numbers that are still to be computed.
        """
        metadata = bytearray(self._metadata)
        prefix = 8
        start = prefix + len(metadata)
        bits = (rows + 7) // 8
        fixed: list[tuple[int, bytes]] = []
        places: list[Place] = []
        nodes: list[int] = []
        buffers: list[int] = []
        end = 0

        def buffer(size: int, data: bytes) -> int:
            """Add a buffer of so many bytes that begins with some; returns where the others begin."""
            nonlocal end
            at = end
            buffers.extend((at, size))
            if data:
                fixed.append((start + at, data))
            end += size
            if fill := -size % 8:
                # It is sent, too: it must not be what the memory held before.
                fixed.append((start + end, bytes(fill)))
                end += fill
            return start + at + len(data)

        for column in columns:
            if column is not None:
                nodes.extend((rows, rows if column.null else 0))
                validity = zeros(bits) if column.null else b""
                buffer(len(validity), validity)
                buffer(len(column.values), column.values)
            else:
                node = self._nodes + 8 * len(nodes)
                nodes.extend((rows, 0))
                validity_at = buffer(8 + bits, _PLAIN)
                values_at = buffer(8 + 8 * rows, _PLAIN)
                places.append(Place(validity_at, values_at, prefix + node + 8))
        struct.pack_into(f"<{len(nodes)}q", metadata, self._nodes, *nodes)
        struct.pack_into(f"<{len(buffers)}q", metadata, self._buffers, *buffers)
        struct.pack_into("<q", metadata, self._rows, rows)
        struct.pack_into("<q", metadata, self._body_length, end)
        fixed.insert(0, (0, struct.pack("<iI", -1, len(metadata)) + bytes(metadata)))
        return Layout(rows, start + end, fixed, places)


def _root(metadata: bytes) -> int:
    return _table(metadata, 0)


def _table(metadata: bytes, at: int) -> int:
    """Where the table or vector is that an offset points to (FlatBuffers: offsets are relative to themselves)."""
    (offset,) = struct.unpack_from("<I", metadata, at)
    return at + int(offset)


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where a table keeps a field, through its table of offsets."""
    (back,) = struct.unpack_from("<i", metadata, table)
    (offset,) = struct.unpack_from("<H", metadata, table - back + 4 + 2 * number)
    assert offset, "the sample has no field at its default"  # noqa: S101  a field at its default would be left out
    return table + int(offset)
