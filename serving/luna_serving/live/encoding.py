"""The messages of the bus: columns of changed series, an alert, or the request to read present values again."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

SERIES: Final = b"s"
ALERT: Final = b"a"
REFRESH: Final = b"r"
# Kind, number of series, time of publication in seconds since 1970.
_HEAD: Final = struct.Struct("<cxxxId")


class UnknownMessage(ValueError):
    """A message that this release does not know."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The last samples of series that have changed."""

    keys: Sequence[bytes]
    timestamps: Sequence[int]
    """Milliseconds since 1970."""
    values: Sequence[float]
    sent_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Alerted:
    """An entry of the log of alerts."""

    epoch: str
    seq: int
    alert: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Changes were not published: read the present values."""


Message = Changed | Alerted | Refresh


def write_changed(
    keys: Sequence[bytes], timestamps: NDArray[np.int64], values: NDArray[np.float64], sent_at: float
) -> bytes:
    """Encode columns of one length."""
    lengths = np.fromiter(map(len, keys), dtype="<u4", count=len(keys))
    head = _HEAD.pack(SERIES, len(keys), sent_at)
    return b"".join(
        (head, timestamps.astype("<i8").tobytes(), values.astype("<f8").tobytes(), lengths.tobytes(), *keys)
    )


def write_alert(epoch: str, seq: int, alert: str) -> bytes:
    """Encode an alert."""
    return ALERT + orjson.dumps([epoch, seq, alert])


def read_message(data: bytes) -> Message:
    """Decode a message.

    Raises:
        UnknownMessage: of another release, or broken.
    """
    kind = data[:1]
    try:
        if kind == SERIES:
            return _read_changed(data)
        if kind == ALERT:
            epoch, seq, alert = orjson.loads(data[1:])
            return Alerted(epoch, seq, alert)
    except (ValueError, struct.error) as e:
        raise UnknownMessage(f"A message of kind {kind!r} cannot be read: {e}.") from e
    if data == REFRESH:
        return Refresh()
    raise UnknownMessage(f"There is no kind {kind!r} of messages.")


def _read_changed(data: bytes) -> Changed:
    _, count, sent_at = _HEAD.unpack_from(data)
    at = _HEAD.size
    timestamps = np.frombuffer(data, "<i8", count, at).tolist()
    values = np.frombuffer(data, "<f8", count, at + 8 * count).tolist()
    lengths = np.frombuffer(data, "<u4", count, at + 16 * count).tolist()
    at += 20 * count
    keys = []
    for length in lengths:
        keys.append(data[at : at + length])
        at += length
    if at != len(data):
        raise UnknownMessage("The keys do not fill the message.")
    return Changed(keys, timestamps, values, sent_at)
