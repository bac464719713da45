"""Quota windows as pure functions of an instant. Days and months are UTC's."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum


class QuotaWindow(StrEnum):
    """The period after which a quota is full again."""

    LIFETIME = "Lifetime"
    DAY = "Day"
    MONTH = "Month"


def window_start(window: QuotaWindow, started_at: datetime, now: datetime) -> datetime:
    """The start of the window that holds `now`; a Lifetime window keeps its start."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match window:
        case QuotaWindow.LIFETIME:
            return started_at
        case QuotaWindow.DAY:
            return max(started_at, midnight)
        case QuotaWindow.MONTH:
            return max(started_at, midnight.replace(day=1))


def window_end(window: QuotaWindow, started_at: datetime) -> datetime | None:
    """The first instant after the window that `started_at` lies in; None for a Lifetime quota."""
    midnight = started_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match window:
        case QuotaWindow.LIFETIME:
            return None
        case QuotaWindow.DAY:
            return midnight + timedelta(days=1)
        case QuotaWindow.MONTH:
            return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


def window_seconds(window: QuotaWindow, started_at: datetime) -> int:
    """The length of the window that `started_at` lies in; 0 for a Lifetime quota."""
    end = window_end(window, started_at)
    if end is None:
        return 0
    last_day = end - timedelta(days=1)
    return int((end - window_start(window, datetime.min.replace(tzinfo=UTC), last_day)).total_seconds())


def milliseconds(instant: datetime | None) -> int:
    """Unix milliseconds, at least 1; 0 for never."""
    return 0 if instant is None else max(1, round(instant.timestamp() * 1000))
