"""Parameters of Prometheus' HTTP API: times, durations, limits, from the query string and a form."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qs

from luna_serving.capabilities.metrics.rendering.errors import ErrorType, PrometheusError
from luna_serving.engines.promql.api import LOOKBACK_MS, duration_seconds

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 1_000
MAX_POINTS: Final = 11_000
# Those that Prometheus takes where none is given. Far beyond any sample.
MIN_TIME_MS: Final = -(2**62)
MAX_TIME_MS: Final = 2**62

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Prometheus' minTime and maxTime, which Grafana may send back.
_EXTREMES: Final = {
    "-292273086-05-16T16:47:06Z": MIN_TIME_MS,
    "+292277025-08-18T07:12:54.999999999Z": MAX_TIME_MS,
    "292277025-08-18T07:12:54.999999999Z": MAX_TIME_MS,
}

Fields = Mapping[str, Sequence[str]]


def read_fields(query: bytes, content_type: str | None = None, body: bytes = b"") -> Fields:
    """The parameters of a GET, or of a POST whose form goes before its query string.

    Raises:
        PrometheusError: there are too many, or they are not UTF-8.
    """
    is_form = content_type is not None and content_type.partition(";")[0].strip().lower() == FORM_TYPE
    found: dict[str, list[str]] = {}
    try:
        for part in (body if is_form else b"", query):
            fields = parse_qs(part.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
            for name, values in fields.items():
                found.setdefault(name, []).extend(values)
    except ValueError as e:
        raise PrometheusError(ErrorType.BAD_DATA, f"error parsing form values: {e}") from e
    return found


@dataclass(frozen=True, slots=True)
class Instant:
    """Parameters of an instant query."""

    query: str
    at_ms: int
    timeout_s: float | None
    lookback_ms: int
    limit: int
    """Of elements; 0 is none."""


@dataclass(frozen=True, slots=True)
class Range:
    """Parameters of a range query."""

    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    timeout_s: float | None
    lookback_ms: int
    limit: int
    """Of series; 0 is none."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Parameters of `series`, `labels` and `label/<name>/values`."""

    match: Sequence[str]
    start_ms: int
    end_ms: int
    limit: int
    """0 is none."""


def read_instant(fields: Fields, now_ms: int) -> Instant:
    """Read `query`, `time`, `timeout`, `lookback_delta`, `limit`.

    Raises:
        PrometheusError: bad_data.
    """
    at = _time(fields, "time", now_ms)
    return Instant(_one(fields, "query"), at, _timeout(fields), _lookback(fields), _limit(fields))


def read_range(fields: Fields) -> Range:
    """Read `query`, `start`, `end`, `step`, `timeout`, `lookback_delta`, `limit`.

    Raises:
        PrometheusError: bad_data; also for more than 11,000 points per series.
    """
    start, end = _time(fields, "start", None), _time(fields, "end", None)
    if end < start:
        raise _invalid("end", "end timestamp must not be before start time")
    step = _milliseconds(fields, "step")
    if step <= 0:
        raise _invalid("step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
    if (end - start) // step > MAX_POINTS:
        raise PrometheusError(
            ErrorType.BAD_DATA,
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    return Range(_one(fields, "query"), start, end, step, _timeout(fields), _lookback(fields), _limit(fields))


def read_listing(fields: Fields, *, needs_match: bool = False) -> Listing:
    """Read `match[]`, `start`, `end`, `limit`.

    Raises:
        PrometheusError: bad_data.
    """
    match = fields.get("match[]", ())
    if needs_match and not match:
        raise PrometheusError(ErrorType.BAD_DATA, "no match[] parameter provided")
    start, end = _time(fields, "start", MIN_TIME_MS), _time(fields, "end", MAX_TIME_MS)
    return Listing(tuple(match), start, end, _limit(fields))


def label_in_path(name: str) -> str:
    """The label of a path `label/<name>/values`; `U__` escapes what a path cannot hold (`U__http_2e_method`).

    Source: https://prometheus.io/docs/instrumenting/escaping_schemes/. What is not escaped so stays as it is.
    """
    if not name.startswith("U__"):
        return name
    escaped = re.compile(r"__|_([0-9a-fA-F]{1,6})_|[^_]+")
    parts, at, text = [], 0, name.removeprefix("U__")
    while at < len(text):
        found = escaped.match(text, at)
        code = -1 if found is None or found[1] is None else int(found[1], 16)
        if found is None or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            return name
        parts.append("_" if found[0] == "__" else found[0] if found[1] is None else chr(code))
        at = found.end()
    return "".join(parts)


def _one(fields: Fields, name: str, default: str = "") -> str:
    return next(iter(fields.get(name, ())), default)


def _time(fields: Fields, name: str, default: int | None) -> int:
    text = _one(fields, name)
    if not text and default is not None:
        return default
    if _NUMBER.fullmatch(text):
        seconds = float(text)
        # As Prometheus rounds: to milliseconds, ties away from zero.
        if abs(seconds) < MAX_TIME_MS / 1e3:
            fraction, whole = math.modf(seconds)
            return int(whole) * 1_000 + int(math.copysign(math.floor(abs(fraction) * 1e3 + 0.5), fraction))
    elif text in _EXTREMES:
        return _EXTREMES[text]
    elif found := _RFC3339.fullmatch(text):
        try:
            at = datetime.fromisoformat(f"{found[1]}{found[3]}".upper())
        except ValueError:
            pass
        else:
            return (at - _EPOCH) // timedelta(milliseconds=1) + int((found[2] or "").ljust(9, "0")) // 1_000_000
    raise _invalid(name, f'cannot parse "{text}" to a valid timestamp')


def _milliseconds(fields: Fields, name: str) -> int:
    text = _one(fields, name)
    try:
        seconds = float(text) if _NUMBER.fullmatch(text) else duration_seconds(text)
    except ValueError as e:
        raise _invalid(name, f'cannot parse "{text}" to a valid duration') from e
    if abs(seconds) * 1e9 > 2**63 - 1:
        raise _invalid(name, f'cannot parse "{text}" to a valid duration. It overflows int64')
    # From Go's nanoseconds, cut.
    return int(int(seconds * 1e9) / 1_000_000)


def _timeout(fields: Fields) -> float | None:
    return _milliseconds(fields, "timeout") / 1_000 if _one(fields, "timeout") else None


def _lookback(fields: Fields) -> int:
    """As in Prometheus, one that is not positive is the default."""
    asked = _milliseconds(fields, "lookback_delta") if _one(fields, "lookback_delta") else 0
    return asked if asked > 0 else LOOKBACK_MS


def _limit(fields: Fields) -> int:
    text = _one(fields, "limit")
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise _invalid("limit", f'cannot parse "{text}" to a valid limit')
    if int(text) < 0:
        raise _invalid("limit", "limit must be non-negative")
    return int(text)


def _invalid(name: str, message: str) -> PrometheusError:
    return PrometheusError(ErrorType.BAD_DATA, f'invalid parameter "{name}": {message}')
