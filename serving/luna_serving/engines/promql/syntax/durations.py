"""Durations such as `1h30m`."""

import re
from typing import Final

# Prometheus, common/model: units from large to small, each at most once.
_DURATION: Final = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?", re.ASCII
)
_MILLISECONDS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
#: The largest duration in Go, 292 years.
LARGEST_NANOSECONDS: Final = 2**63 - 1


def duration_seconds(text: str) -> float:
    """The length of a duration in seconds. A year has 365 days, a week 7 days, a day 24 hours.

    Raises:
        ValueError: as Prometheus words it.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise ValueError(f'not a valid duration string: "{text}"')
    total = sum(int(count) * unit for count, unit in zip(found.groups(), _MILLISECONDS, strict=True) if count)
    if total * 1_000_000 > LARGEST_NANOSECONDS:
        raise ValueError("duration out of range")
    return total / 1000


def milliseconds(seconds: float) -> int:
    """Seconds as Prometheus' engine has them: rounded to nanoseconds, then cut to milliseconds toward zero."""
    nanoseconds = round_half_away(seconds * 1e9)
    return int(nanoseconds / 1_000_000) if abs(nanoseconds) < 2**53 else _cut(nanoseconds)


def _cut(nanoseconds: int) -> int:
    return nanoseconds // 1_000_000 if nanoseconds >= 0 else -(-nanoseconds // 1_000_000)


def round_half_away(value: float) -> int:
    """The nearest integer, ties away from zero (Go's math.Round)."""
    whole = int(value)
    rest = abs(value - whole)
    return whole if rest < 0.5 else whole + (1 if value > 0 else -1)
