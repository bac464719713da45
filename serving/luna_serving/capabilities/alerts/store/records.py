"""Alerts as rows, and as answers and events show them."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return (instant - EPOCH) // MILLISECOND


def maybe_ms(instant: datetime | None) -> int | None:
    """Milliseconds since 1970; None stays None."""
    return None if instant is None else to_ms(instant)


def to_instant(milliseconds: int) -> datetime:
    """The instant so many milliseconds after 1970."""
    return EPOCH + milliseconds * MILLISECOND


def maybe_text(milliseconds: int | None) -> str | None:
    """The instant as Postgres and RFC 3339 read it."""
    return None if milliseconds is None else to_instant(milliseconds).isoformat()


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An alert."""

    id: uuid.UUID
    rule_id: uuid.UUID
    name: str
    fingerprint: bytes
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    """`pending`, `firing` or `resolved`; in events also `inactive`, for a pending alert that ended."""
    value: float
    active_at_ms: int
    fired_at_ms: int | None
    keep_firing_since_ms: int | None
    resolved_at_ms: int | None
    resolved_by: str | None
    notified_at_ms: int | None
    valid_ms: int
    announce_at_ms: int | None


def record_of(row: Any) -> AlertRecord:  # noqa: ANN401  a row of `alerts`
    """A row as a record."""
    return AlertRecord(
        id=row.id,
        rule_id=row.rule_id,
        name=row.name,
        fingerprint=bytes(row.fingerprint),
        labels=row.labels,
        annotations=row.annotations,
        state=row.state,
        value=row.value,
        active_at_ms=to_ms(row.active_at),
        fired_at_ms=maybe_ms(row.fired_at),
        keep_firing_since_ms=maybe_ms(row.keep_firing_since),
        resolved_at_ms=maybe_ms(row.resolved_at),
        resolved_by=row.resolved_by,
        notified_at_ms=maybe_ms(row.notified_at),
        valid_ms=row.valid_ms,
        announce_at_ms=maybe_ms(row.announce_at),
    )


def shown(record: AlertRecord) -> dict[str, Any]:
    """An alert as JSON: instants in milliseconds."""
    found = {
        "id": str(record.id),
        "rule_id": str(record.rule_id),
        "name": record.name,
        "state": record.state,
        "labels": dict(record.labels),
        "annotations": dict(record.annotations),
        "value": number(record.value),
        "active_at": record.active_at_ms,
        "fired_at": record.fired_at_ms,
    }
    if record.resolved_at_ms is not None:
        found["resolved_at"] = record.resolved_at_ms
    return found


def number(value: float) -> float | str:
    """A number of JSON, or the text of one that JSON has not."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
