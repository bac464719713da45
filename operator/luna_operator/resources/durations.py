"""Durations as Kubernetes writes them (Go's `time.ParseDuration`): `2160h`, `1h30m`, `0s`."""

import re
from datetime import timedelta

_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        ValueError: says how to write one.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write hours, minutes and seconds, as in 2160h, 1h30m or 0s.")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
