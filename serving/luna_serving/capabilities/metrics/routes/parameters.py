"""Parameters of queries: times, steps, selectors."""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem

# As Prometheus: a number of seconds, or a duration such as 1h30m.
_DURATION: Final = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS_MS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# The first and the last instant that a query can name: 1970 and the year 2500.
FIRST_MS: Final = 0
LAST_MS: Final = 16_725_225_600_000
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def instant(text: str, pointer: str, *, unit_ms: float) -> int:
    """Milliseconds of a time: RFC 3339, or a number.

    Args:
        text: the parameter.
        pointer: where it is.
        unit_ms: of a number: 1 for milliseconds, 1,000 for seconds as Prometheus has them.

    Raises:
        Problem: 422, it is neither.
    """
    if _NUMBER.fullmatch(text):
        found = float(text) * unit_ms
        if math.isfinite(found):
            return min(max(round(found), FIRST_MS), LAST_MS)
    else:
        try:
            # A plus sign that was not escaped is a space by now.
            when = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        except ValueError:
            pass
        else:
            if when.tzinfo is not None:
                return min(max(round(when.timestamp() * 1_000), FIRST_MS), LAST_MS)
    what = "seconds" if unit_ms == 1_000 else "milliseconds"
    raise problems.invalid(FieldError(pointer, f"Must be RFC 3339 with a time zone, or {what} since 1970."))


def duration(text: str, pointer: str) -> int:
    """Milliseconds of a step: seconds, or a duration such as 15s, 5m or 1h30m.

    Raises:
        Problem: 422, it is neither, or not positive.
    """
    found = 0.0
    if _NUMBER.fullmatch(text):
        found = float(text) * 1_000
    elif text and (match := _DURATION.fullmatch(text)):
        found = sum(int(number) * unit for number, unit in zip(match.groups(), _UNITS_MS, strict=True) if number)
    if not 1 <= found <= LAST_MS:
        raise problems.invalid(
            FieldError(pointer, "Must be a positive number of seconds, or a duration such as 15s, 5m or 1h30m.")
        )
    return round(found)


def whole(text: str, pointer: str, low: int, high: int) -> int:
    """A whole number.

    Raises:
        Problem: 422, it is none, or out of range.
    """
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise problems.invalid(FieldError(pointer, f"Must be a whole number from {low} to {high}."))


def quoted(text: str) -> str:
    """A text as PromQL writes strings."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def selector(name: str | None, labels: Mapping[str, str]) -> str:
    """The selector of a metric and of values of labels.

    Args:
        name: of the metric, any text; None for any.
        labels: by name, any text.
    """
    # In quotes whatever it is: `nan`, `inf` and PromQL's keywords can be names, too.
    conditions = [] if name is None else [quoted(name)]
    conditions += [
        f"{label if _LABEL.fullmatch(label) else quoted(label)}={quoted(value)}" for label, value in labels.items()
    ]
    return "{" + ", ".join(conditions) + "}"


def period(
    start: str,
    end: str,
    *,
    default_start_ms: int,
    unit_ms: float,
    pointers: tuple[str, str] = ("/query/start", "/query/end"),
) -> tuple[int, int]:
    """The bounds of a period.

    Args:
        start: the parameter; empty for the default.
        end: the parameter; empty for ten minutes from now, so that all samples are before it.
        default_start_ms: where `start` is empty.
        unit_ms: as of `instant`.
        pointers: where they are.

    Raises:
        Problem: 422.
    """
    first = instant(start, pointers[0], unit_ms=unit_ms) if start else default_start_ms
    last = instant(end, pointers[1], unit_ms=unit_ms) if end else now_ms() + 600_000
    if last < first:
        raise backwards(pointers[1])
    return first, last


def backwards(pointer: str) -> Problem:
    """422: a period that ends before it begins."""
    return problems.invalid(FieldError(pointer, "Must not be before start."))
