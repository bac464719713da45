"""Parses durations of the command line."""

import re
from datetime import timedelta

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_WHOLE = re.compile(r"(?:\d+[dhms])+", re.ASCII)
_PART = re.compile(r"(\d+)([dhms])", re.ASCII)


def duration(text: str) -> timedelta:
    """Read `90s`, `15m`, `24h`, `7d` or `1h30m`.

    Raises:
        ValueError: it is malformed, or longer than a hundred years.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like 90s, 15m, 24h, 7d or 1h30m.")
    try:
        parts = [timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _PART.findall(text)]
        total = sum(parts, timedelta())
    except OverflowError:
        total = timedelta.max
    if total > timedelta(days=36_525):
        raise ValueError(f"{text!r} is longer than a hundred years.")
    return total
