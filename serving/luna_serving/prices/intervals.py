"""Intervals of bars: their names, and when a bar ends."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

_MONTHS: Final = 12


class Interval(StrEnum):
    """How long a bar lasts. A bar is named by its start, in UTC."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HALF_HOUR = "30m"
    HOUR = "1h"
    TWO_HOURS = "2h"
    FOUR_HOURS = "4h"
    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"

    @property
    def intraday(self) -> bool:
        """Whether a bar has a time of day, and not only a date."""
        return self not in _CALENDAR

    def end(self, start: datetime) -> datetime:
        """When the bar that begins at `start` is complete, in UTC.

        Daily bars end with their day in UTC: Luna keeps no calendars of exchanges.
        """
        if self is Interval.MONTH:
            years, month = divmod(start.month, _MONTHS)
            return start.replace(year=start.year + years, month=month + 1, day=1)
        return start + _LENGTHS[self]


_CALENDAR: Final = frozenset({Interval.DAY, Interval.WEEK, Interval.MONTH})
_LENGTHS: Final = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.QUARTER_HOUR: timedelta(minutes=15),
    Interval.HALF_HOUR: timedelta(minutes=30),
    Interval.HOUR: timedelta(hours=1),
    Interval.TWO_HOURS: timedelta(hours=2),
    Interval.FOUR_HOURS: timedelta(hours=4),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(weeks=1),
}


def closed(interval: Interval, last: datetime, now: datetime | None = None) -> bool:
    """Whether the bar that begins at `last` can no longer change."""
    try:
        return interval.end(last) <= (now or datetime.now(UTC))
    except (OverflowError, ValueError):
        return False  # it ends after the year 9999


def of_spacing(spacing: timedelta) -> Interval:
    """The interval of bars that follow each other so: the longest one that is not longer, or a minute."""
    return max(
        (each for each in Interval if _SHORTEST[each] <= spacing), key=_SHORTEST.__getitem__, default=Interval.MINUTE
    )


# The shortest month counts.
_SHORTEST: Final = {**_LENGTHS, Interval.MONTH: timedelta(days=28)}
