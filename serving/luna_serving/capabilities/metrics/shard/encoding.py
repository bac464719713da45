"""The bytes of chunks and of write-ahead rows. Pure."""

import itertools
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from pcodec import ChunkConfig, standalone

from luna_serving.capabilities.metrics.shard.runs import Floats, Ints

# Samples per chunk: pcodec needs some hundreds to be at its best, and with 1,000 three or four rows fill a page.
CHUNK_SAMPLES: Final = 1_000
DAY_MS: Final = 86_400_000
_CHUNK_HEAD: Final = struct.Struct("<BH")
_CHUNK_VERSION: Final = 1
_WRITE_HEAD: Final = struct.Struct("<BII")
_WRITE_VERSION: Final = 1
_CONFIG: Final = ChunkConfig(compression_level=4)
_CODEC: Final = pa.Codec("zstd", 1)


class UnknownEncodingError(ValueError):
    """Bytes that this release cannot read: a later one has written them."""


def encode_chunk(timestamps: Ints, values: Floats) -> bytes:
    """The bytes of samples of one series, by time.

    Args:
        timestamps: shape (samples,), ms, ascending. The first one is not part of the bytes.
        values: shape (samples,), kept bit for bit.
    """
    times: bytes = standalone.simple_compress(np.diff(timestamps), _CONFIG)
    packed: bytes = standalone.simple_compress(values, _CONFIG)
    return _CHUNK_HEAD.pack(_CHUNK_VERSION, len(times)) + times + packed


def decode_chunk(data: bytes, start_ms: int) -> tuple[Ints, Floats]:
    """The samples of a chunk.

    Raises:
        UnknownEncodingError: of a later release.
    """
    version, length = _CHUNK_HEAD.unpack_from(data)
    if version != _CHUNK_VERSION:
        raise UnknownEncodingError(f"A chunk has version {version}: a later release of Luna has written it.")
    at = _CHUNK_HEAD.size
    values = standalone.simple_decompress(data[at + length :])
    times = np.empty(len(values), np.int64)
    times[0] = start_ms
    if len(values) > 1:
        np.cumsum(standalone.simple_decompress(data[at : at + length]), out=times[1:])
        times[1:] += start_ms
    return times, values


def pieces(timestamps: Ints) -> Iterator[slice]:
    """The chunks of a series: of at most `CHUNK_SAMPLES` samples, about the same number each, none across days (UTC).

    Args:
        timestamps: shape (samples,), ms, ascending.
    """
    days = timestamps // DAY_MS
    edges = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist(), len(days)]
    for begin, end in itertools.pairwise(edges):
        count = end - begin
        parts = -(-count // CHUNK_SAMPLES)
        for part in range(parts):
            yield slice(begin + count * part // parts, begin + count * (part + 1) // parts)


def encode_write(series: Ints, counts: Ints, timestamps: Ints, values: Floats) -> bytes:
    """The payload of a write-ahead row.

    Args:
        series: shape (series,), ids.
        counts: shape (series,), how many samples each has.
        timestamps: shape (samples,), ms.
        values: shape (samples,).
    """
    raw = b"".join(
        (
            series.astype("<i4").tobytes(),
            counts.astype("<i4").tobytes(),
            # Differences: nearly all the same, so they compress to nothing.
            np.diff(timestamps, prepend=0).astype("<i8").tobytes(),
            values.astype("<f8", copy=False).tobytes(),
        )
    )
    compressed: bytes = _CODEC.compress(raw, asbytes=True)
    return _WRITE_HEAD.pack(_WRITE_VERSION, len(series), len(timestamps)) + compressed


def decode_write(payload: bytes) -> tuple[Ints, Ints, Floats]:
    """Of each sample of a write-ahead row the series, the timestamp and the value.

    Raises:
        UnknownEncodingError: of a later release.
    """
    version, series, samples = _WRITE_HEAD.unpack_from(payload)
    if version != _WRITE_VERSION:
        raise UnknownEncodingError(f"A write-ahead row has version {version}: a later release of Luna has written it.")
    raw = _CODEC.decompress(payload[_WRITE_HEAD.size :], 8 * series + 16 * samples, asbytes=True)
    ids = np.frombuffer(raw, "<i4", series).astype(np.int64)
    counts = np.frombuffer(raw, "<i4", series, 4 * series)
    times = np.cumsum(np.frombuffer(raw, "<i8", samples, 8 * series))
    values = np.frombuffer(raw, "<f8", samples, 8 * series + 8 * samples).astype(np.float64)
    return np.repeat(ids, counts), times, values
