"""`status.usage`: coarse on purpose.

It is written when a threshold is crossed, else once in minutes, so that ten thousand busy accounts do not keep the API
server busy.
"""

from datetime import datetime, timedelta
from typing import Any

from luna_operator.resources.account import format_time, parse_time
from luna_store.accounts.desired import AccountRow, UsageRow
from luna_store.quota.windows import window_end, window_start

# Percent of the limit. The last one sets the condition QuotaExhausted.
THRESHOLDS = (50, 75, 90, 95, 100)


def remaining(row: AccountRow | UsageRow, now: datetime) -> int:
    """Units that are left in the window that holds `now`."""
    return max(0, row.quota_limit - _used(row, window_start(row.quota_window, row.window_started_at, now)))


def usage_of(row: AccountRow | UsageRow, now: datetime) -> dict[str, Any]:
    """The usage in Postgres: units in the window that holds `now`."""
    start = window_start(row.quota_window, row.window_started_at, now)
    return {
        "limit": row.quota_limit,
        "used": _used(row, start),
        "remaining": remaining(row, now),
        "windowEndsAt": format_time(window_end(row.quota_window, start)),
        "asOf": format_time(now),
    }


def next_usage(
    before: dict[str, Any] | None, row: AccountRow | UsageRow, now: datetime, max_age: timedelta
) -> dict[str, Any]:
    """The usage for the status: a new report if one is due, else the present one."""
    report = usage_of(row, now)
    if not before:
        return report
    unchanged = {**report, "asOf": before.get("asOf")}
    if unchanged == {"windowEndsAt": None, **before}:
        return before
    if before.get("limit") != report["limit"] or before.get("windowEndsAt") != report["windowEndsAt"]:
        return report
    if _level(before.get("used", 0), report["limit"]) != _level(report["used"], report["limit"]):
        return report
    age = _age(before.get("asOf"), now)
    # A report dated in the future counts as none; otherwise it would stay until that time.
    return before if age is not None and abs(age) < max_age else report


def _age(as_of: str | None, now: datetime) -> timedelta | None:
    """How old a report is; None without a valid time. A team may have written it, so any date-time is possible."""
    try:
        written = parse_time(as_of)
    except ValueError:
        return None
    return None if written is None else now - written


def _used(row: AccountRow | UsageRow, start: datetime) -> int:
    # A window that has ended counts nothing, even before settlement rolls the row.
    return row.quota_used if start == row.window_started_at else 0


def _level(used: int, limit: int) -> int:
    """How many thresholds are reached."""
    return sum(used * 100 >= threshold * limit for threshold in THRESHOLDS)
