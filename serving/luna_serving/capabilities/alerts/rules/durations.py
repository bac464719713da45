"""Durations as Prometheus writes them."""

import re
from typing import Final

_PARTS: Final = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_MILLISECONDS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
LONGEST_MS: Final = 31_536_000_000
CURE: Final = "Write a duration such as 15s, 5m or 1h30m, or a number of seconds; at most 1y."


def milliseconds(written: str | float) -> int:
    """A duration in milliseconds.

    Args:
        written: units from large to small, each at most once, or seconds.

    Raises:
        ValueError: it is none, or longer than a year; says the cure.
    """
    if isinstance(written, str):
        found = _PARTS.fullmatch(written)
        if found is None or not written or len(written) > 64:
            if written == "0":
                return 0
            raise ValueError(CURE)
        total = sum(int(n) * unit for n, unit in zip(found.groups(), _MILLISECONDS, strict=True) if n)
    else:
        total = round(written * 1000) if 0 <= written <= LONGEST_MS else -1
    if not 0 <= total <= LONGEST_MS:
        raise ValueError(CURE)
    return total


def written(duration_ms: int) -> str:
    """A duration as Prometheus prints it: `1h30m`."""
    if not duration_ms:
        return "0s"
    parts = []
    # Weeks and years only where they are whole, as in Prometheus' common/model.
    for unit, size in zip(("y", "w", "d", "h", "m", "s", "ms"), _MILLISECONDS, strict=True):
        if unit in ("y", "w") and duration_ms % size:
            continue
        count, duration_ms = divmod(duration_ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
