"""`POST /influx/write`: InfluxDB's line protocol, with the answers of its version 2."""

from typing import Final

import orjson

from luna_serving.capabilities.metrics.ingest.building import Singles, check_count, parsed
from luna_serving.capabilities.metrics.ingest.checking import Bounds, UnusableSeries, checked_key
from luna_serving.capabilities.metrics.ingest.influx_line import NotALineError, head_of, lines_of, number, split
from luna_serving.capabilities.metrics.ingest.refusals import malformed
from luna_serving.capabilities.metrics.ingest.results import MAX_SHOWN, Parsed, Reason, Rejection, Rejections
from luna_serving.capabilities.metrics.ingest.series_cache import Known, SeriesCache
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

# Timestamps to milliseconds: multiplied by the first, divided by the second. Version 1 spells some otherwise.
PRECISIONS: Final = {
    "ns": (1, 1_000_000),
    "n": (1, 1_000_000),
    "us": (1, 1_000),
    "u": (1, 1_000),
    "µ": (1, 1_000),
    "ms": (1, 1),
    "s": (1_000, 1),
    "m": (60_000, 1),
    "h": (3_600_000, 1),
}
# An int64 and its sign.
_MAX_DIGITS: Final = 20
_FARTHEST: Final = 2**62


class InfluxParser:
    """Parses lines, in any thread."""

    def __init__(self, cache: SeriesCache) -> None:
        self._cache = cache

    def parse(self, body: bytes, precision: str, bounds: Bounds) -> Parsed:
        """Read lines. A string field gives no sample; the index of a rejection is the number of its line, from 1.

        Raises:
            Problem: 400, it is not UTF-8; 422, the precision is unknown, or there are too many lines or samples.
        """
        if precision not in PRECISIONS:
            wrong = f"Must be one of {', '.join(PRECISIONS)}."
            raise problems.invalid(FieldError("/query/precision", wrong))
        try:
            text = body.decode()
        except UnicodeDecodeError as e:
            raise malformed(f"Is not UTF-8: byte {e.start} begins no character.") from e
        lines = lines_of(text)
        check_count(len(lines) - 1, bounds)
        reading = _Reading(self._cache.under(bounds.max_labels), precision, bounds)
        row = 1
        for line in lines:
            reading.read(row, line)
            row += 1 + line.count("\n")
        return parsed(reading.singles.columns(), bounds, reading.rejections)


class _Reading:
    def __init__(self, known: Known, precision: str, bounds: Bounds) -> None:
        self._known = known
        self._factor, self._divisor = PRECISIONS[precision]
        self._bounds = bounds
        self.singles = Singles()
        self.rejections = Rejections(most=MAX_SHOWN)

    def read(self, row: int, line: str) -> None:
        """Read a line; an empty one or a comment is skipped."""
        line = line.strip(" \r\t")
        if not line or line[0] == "#":
            return
        fields = 1
        try:
            head, pairs, stamp = split(line)
            fields = len(pairs)
            at = self._time(stamp) if stamp else self._bounds.now_ms
            found = [(self._key(head, name), value) for name, text in pairs if (value := number(text)) is not None]
        except NotALineError as e:
            self.rejections.add(Rejection(row, Reason.INVALID, f"Line {row}: {e}", samples=fields))
        except UnusableSeries as e:
            self.rejections.add(Rejection(row, e.reason, f"Line {row}: {e.detail}", samples=fields))
        else:
            for key, value in found:
                self.singles.add(key, row, at, value)

    def _time(self, text: str) -> int:
        if len(text) > _MAX_DIGITS or not text.removeprefix("-").isdecimal() or not text.isascii():
            raise NotALineError(f"{text[:64]!r} is not a timestamp: it must be an integer.")
        return min(max(int(text) * self._factor // self._divisor, -_FARTHEST), _FARTHEST)

    def _key(self, head: str, field: str) -> bytes:
        key = self._known.get((head, field))
        if key is None:
            found = head_of(head)
            key = checked_key(f"{found.measurement}_{field}", found.tags, self._bounds.max_labels)
            self._known.remember((head, field), key)
        return key


def answer(rejections: Rejections) -> tuple[int, bytes]:
    """The status and the body: 204, or 400 with InfluxDB's error where lines were rejected."""
    if not rejections.items:
        return 204, b""
    first = rejections.kept[0]
    body = {"code": "invalid", "message": f"partial write: {rejections.in_words()}", "line": first.index}
    return 400, orjson.dumps(body)
