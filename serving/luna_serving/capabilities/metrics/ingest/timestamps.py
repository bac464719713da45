"""Timestamps in JSON: RFC 3339, or milliseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# Far outside any bounds of time, and it fits in an int64 with room.
FARTHEST: Final = 2**62
EXPECTED: Final = "RFC 3339 text such as 2026-11-28T12:00:00Z, or an integer of milliseconds since 1970"


class NotATimestampError(ValueError):
    """It is none of the two forms; the message says which."""


def to_milliseconds(value: object) -> int:
    """Milliseconds since 1970 of a JSON value, rounded down; beyond any calendar it is +-`FARTHEST`.

    A number must be integral. Text is RFC 3339 with a zone; digits in text are refused, because nothing says whether
    they are seconds or milliseconds.

    Raises:
        NotATimestampError: it is something else.
    """
    if type(value) is int:
        return min(max(value, -FARTHEST), FARTHEST)
    if type(value) is float and value.is_integer():
        return int(min(max(value, -FARTHEST), FARTHEST))
    if isinstance(value, str):
        return _of_text(value)
    raise NotATimestampError(f"Must be {EXPECTED}.")


def _of_text(text: str) -> int:
    if not _RFC3339.fullmatch(text):
        raise NotATimestampError(f"Must be {EXPECTED}. Text needs a time zone (Z or +01:00), and a number no quotes.")
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MILLISECOND
    except ValueError as e:
        raise NotATimestampError(f"Must be {EXPECTED}: {e}.") from e
