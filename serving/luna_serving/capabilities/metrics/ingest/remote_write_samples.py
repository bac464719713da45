"""Samples of remote write: `{1: double value, 2: int64 timestamp}`, the same message in 1.0 and 2.0."""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.metrics.ingest.protobuf_wire import FIXED64, VARINT, Budget, fields, signed

# A sample as field 2 of a series, as all senders write one: 0x12, its length 16, 0x09, eight bytes of the value, 0x10,
# a timestamp of six bytes (those between 1971 and 2109). A value of 0 may be left out, which makes it shorter.
SAMPLE_BYTES: Final = 18
_VALUE_AT: Final = 3
_TIME_AT: Final = 12
_HEAD: Final = np.array([0x12, 0x10, 0x09], np.uint8)
_TIME_TAG: Final = 0x10
_CONTINUES: Final = 0x80
_SHIFTS: Final = np.arange(0, 42, 7, dtype=np.int64)
_VALUE: Final = 1 << 3 | FIXED64
_TIMESTAMP: Final = 2 << 3 | VARINT
_DOUBLE: Final = struct.Struct("<d")


def usual(data: bytes, starts: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """Read samples of the usual form, all at once.

    Args:
        data: the request.
        starts: shape (samples,), where each begins; `SAMPLE_BYTES` bytes from there are within the request.

    Returns:
        Of each sample whether it has the usual form; its timestamp (ms) and its value, which are valid if it has.
    """
    blocks = np.frombuffer(data, np.uint8)[starts[:, None] + np.arange(SAMPLE_BYTES)]
    time = blocks[:, _TIME_AT:]
    form = (blocks[:, :_VALUE_AT] == _HEAD).all(axis=1) & (blocks[:, _TIME_AT - 1] == _TIME_TAG)
    form &= (time[:, :-1] >= _CONTINUES).all(axis=1) & (time[:, -1] < _CONTINUES)
    stamps = ((time & 0x7F).astype(np.int64) << _SHIFTS).sum(axis=1)
    values = np.ascontiguousarray(blocks[:, _VALUE_AT : _TIME_AT - 1]).view("<f8")[:, 0]
    return form, stamps, values


def any_sample(data: bytes, start: int, end: int, budget: Budget) -> tuple[int, float]:
    """The timestamp and the value of one sample in any form.

    Raises:
        MalformedError: it is no message.
    """
    stamp, value = 0, 0.0
    for tag, first, _ in fields(data, start, end, budget):
        if tag == _VALUE:
            # Bit for bit, NaNs too: Prometheus' staleness marker is one.
            (value,) = _DOUBLE.unpack_from(data, first)
        elif tag == _TIMESTAMP:
            stamp = signed(first)
    return stamp, value


def many_usual(data: bytes, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """The timestamps and values of samples of the usual form that fill the bytes; None if anything else is there."""
    count, rest = divmod(end - start, SAMPLE_BYTES)
    if rest or not count:
        return None
    form, stamps, values = usual(data, start + SAMPLE_BYTES * np.arange(count))
    return (stamps, values) if form.all() else None
