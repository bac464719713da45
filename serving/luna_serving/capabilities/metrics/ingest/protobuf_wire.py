"""Reads the wire format of Protocol Buffers, for messages that are too hot for generated classes.

Source: https://protobuf.dev/programming-guides/encoding/. What generated classes accept is accepted: unknown fields and
groups are skipped, and of a field that is given twice the last value counts.
"""

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
_GROUP: Final = 3
_END_GROUP: Final = 4
_FIXED32: Final = 5

_WORD: Final = (1 << 64) - 1
_MAX_TAG: Final = (1 << 32) - 1
_MAX_SHIFT: Final = 63
# As the parsers of Google have it.
_MAX_DEPTH: Final = 100
MAX_FIELDS: Final = 1_000_000


class MalformedError(ValueError):
    """The bytes are no message."""


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned varint at `at`, and where the next byte is.

    Raises:
        MalformedError: it does not end before `end`, or is longer than ten bytes.
    """
    # Most are short.
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _WORD, at
        shift += 7
        if shift > _MAX_SHIFT:
            raise MalformedError(f"A varint before byte {at} is longer than ten bytes.")
    raise MalformedError(f"Ends within a varint, at byte {end}.")


def signed(value: int) -> int:
    """The int64 of a varint."""
    return value - (1 << 64) if value >> 63 else value


def field_at(data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """The field at `at`: its number times 8 plus its wire type, two numbers, and where the next field begins.

    The two numbers are the value and 0 for a varint; else the first byte of the value and the byte after it.

    Raises:
        MalformedError: it is no field, or does not end before `end`.
    """
    return _field(data, at, end, 0)


def _field(data: bytes, at: int, end: int, depth: int) -> tuple[int, int, int, int]:
    tag, at = varint(data, at, end)
    kind = tag & 7
    if tag > _MAX_TAG or tag < 8 or kind == _END_GROUP:
        raise MalformedError(f"Has a wrong tag before byte {at}.")
    if kind == VARINT:
        value, at = varint(data, at, end)
        return tag, value, 0, at
    if kind == _GROUP:
        after = _group(data, at, end, tag >> 3, depth + 1)
        return tag, at, after, after
    length = 8 if kind == FIXED64 else 4
    if kind == BYTES:
        length, at = varint(data, at, end)
    elif kind not in {FIXED64, _FIXED32}:
        raise MalformedError(f"Has an unknown wire type before byte {at}.")
    after = at + length
    if after > end:
        raise MalformedError(f"A field at byte {at} is longer than its message.")
    return tag, at, after, after


def _group(data: bytes, at: int, end: int, number: int, depth: int) -> int:
    """Where the group's end tag ends."""
    if depth > _MAX_DEPTH:
        raise MalformedError("Has groups in more than 100 groups.")
    while True:
        tag, after = varint(data, at, end)
        if tag & 7 == _END_GROUP:
            if tag >> 3 != number:
                raise MalformedError(f"A group ends at byte {at} with another number.")
            return after
        *_, at = _field(data, at, end, depth)


class Budget:
    """How many fields of a request are read one by one, about a microsecond each: 16 MB may hold 8 million."""

    __slots__ = ("left",)

    def __init__(self, fields: int = MAX_FIELDS) -> None:
        self.left = fields

    def field_at(self, data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
        """`field_at`, paid from the budget.

        Raises:
            MalformedError: it is no field, or the budget is exhausted.
        """
        if not self.left:
            raise MalformedError("Has more fields than any valid request. Send less at once.")
        self.left -= 1
        return field_at(data, at, end)


def fields(data: bytes, at: int, end: int, budget: Budget) -> Iterator[tuple[int, int, int]]:
    """The fields of a message within bytes, as `field_at` describes them.

    Raises:
        MalformedError: it is no message, or the budget is exhausted.
    """
    while at < end:
        tag, first, second, at = budget.field_at(data, at, end)
        yield tag, first, second


def text(data: bytes, start: int, end: int) -> str:
    """A string of a message.

    Raises:
        MalformedError: it is not UTF-8.
    """
    try:
        return data[start:end].decode()
    except UnicodeDecodeError as e:
        raise MalformedError(f"A string at byte {start} is not UTF-8.") from e
