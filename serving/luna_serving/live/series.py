"""The last value of a series in this process, and its JSON, made once for all subscribers."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final

import orjson

from luna_serving.engines.promql.api import NAME_LABEL, STALE, STALE_BITS
from luna_serving.samples.identity import read_key

if TYPE_CHECKING:
    from luna_serving.live.selectors import Selector

_BITS: Final = struct.Struct("<d")
_STALE: Final = STALE_BITS.to_bytes(8, "little")


class LiveSeries:
    """One series that somebody watches."""

    __slots__ = ("_head", "_text", "changed_at", "key", "labels", "selectors", "timestamp", "value")

    def __init__(self, key: bytes, timestamp: int, value: float, changed_at: float) -> None:
        name, labels = read_key(key)
        self.key = key
        self.labels = {NAME_LABEL: name, **labels}
        self.selectors: tuple[Selector, ...] = ()
        """Those that match it."""
        self._head = f'{{"name":{_json(name)},"labels":{_json(labels)},"timestamp":'
        self._text: str | None = None
        self.timestamp = timestamp
        self.value = value
        self.changed_at = changed_at
        """By `time.monotonic`."""

    def take(self, timestamp: int, value: float, now: float) -> bool:
        """Take a sample; whether it is a newer one, or a correction of the last."""
        if timestamp < self.timestamp or (timestamp == self.timestamp and same(value, self.value)):
            return False
        self.timestamp, self.value, self.changed_at, self._text = timestamp, value, now, None
        return True

    def end(self, now: float) -> bool:
        """Note that the series has ended; whether that is new."""
        return self.take(self.timestamp, STALE, now)

    @property
    def ended(self) -> bool:
        """Whether its last sample is a staleness marker."""
        return is_stale(self.value)

    @property
    def text(self) -> str:
        """As JSON: `{"name", "labels", "timestamp", "value"}`, with `"stale": true` at the end of the series.

        A value that is no number in JSON (NaN, infinities) is null.
        """
        if self._text is None:
            number = repr(self.value) if math.isfinite(self.value) else "null"
            stale = ',"stale":true' if self.ended else ""
            self._text = f'{self._head}{self.timestamp},"value":{number}{stale}}}'
        return self._text


def same(one: float, other: float) -> bool:
    """Whether two values are the same, bit for bit where they are NaN."""
    return one == other or (one != one and other != other and _BITS.pack(one) == _BITS.pack(other))


def is_stale(value: float) -> bool:
    """Whether a value is the staleness marker."""
    return value != value and _BITS.pack(value) == _STALE


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
