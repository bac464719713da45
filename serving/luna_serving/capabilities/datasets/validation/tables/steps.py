"""Steps of a frequency between times, and the frequency that times have by themselves. Pure."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.frequency import GREATEST_COUNT, MICROSECONDS, Frequency, Unit

DAY_US: Final = 86_400_000_000
REGULAR: Final = 0.5
"""Share of the distances between times that must be one step."""
Times = NDArray[np.int64]


def steps(before: Times, after: Times, frequency: Frequency) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How many steps lead from one time to the next.

    Args:
        before: in microseconds; of days and months in the zone whose calendar counts.
        after: as before.
        frequency: of the series.

    Returns:
        whole steps, rounded down; whether there is no remainder.
    """
    if (unit := frequency.microseconds) is not None:
        return np.divmod(after - before, unit)[0], (after - before) % unit == 0
    if frequency.unit is Unit.BUSINESS_DAY:
        days = [_business_days(each) for each in (before, after)]
        same_hour = (after - before) % DAY_US == 0
        return days[1] - days[0], same_hour & ~_weekend(after) & ~_weekend(before)
    months = frequency.months or 1
    (m0, d0, end0), (m1, d1, end1) = _months(before), _months(after)
    whole, rest = np.divmod(m1 - m0, months)
    aligned = (rest == 0) & ((d0 == d1) | (end0 & end1)) & ((after - before) % DAY_US == 0)
    return whole, aligned


def guess(distances: Mapping[int, int], *, weekends: bool) -> Frequency | None:
    """The frequency of series by the distances of their times; None if they have none.

    Args:
        distances: how often each distance in microseconds occurs; positive ones only.
        weekends: whether any time is on a Saturday or Sunday.
    """
    total = sum(distances.values())
    if not total:
        return None
    days = {distance // DAY_US: count for distance, count in distances.items() if distance % DAY_US == 0}
    for frequency, low, high in (
        (Frequency(1, Unit.MONTH), 28, 31),
        (Frequency(1, Unit.QUARTER), 90, 92),
        (Frequency(1, Unit.YEAR), 365, 366),
    ):
        inside = {day: count for day, count in days.items() if low <= day <= high}
        # 28 days, or 91, are also weeks: calendars have distances that differ.
        several = len(inside) > 1 or (frequency.unit is Unit.YEAR and bool(inside))
        if several and sum(inside.values()) > REGULAR * total:
            return frequency
    distance = max(distances, key=lambda each: (distances[each], -each))
    if distances[distance] < REGULAR * total:
        return None
    if distance == DAY_US and not weekends and total > 4:
        return Frequency(1, Unit.BUSINESS_DAY)
    return _named(distance)


def _named(distance: int) -> Frequency | None:
    units = (Unit.WEEK, Unit.DAY, Unit.HOUR, Unit.MINUTE, Unit.SECOND, Unit.MILLISECOND)
    found = next((Frequency(distance // MICROSECONDS[u], u) for u in units if distance % MICROSECONDS[u] == 0), None)
    return found if found is not None and found.count <= GREATEST_COUNT else None


def weekend(us: Times) -> bool:
    """Whether any time is on a Saturday or Sunday."""
    return bool(_weekend(us).any())


def _weekend(us: Times) -> NDArray[np.bool_]:
    # 1970-01-01 was a Thursday: Monday is 0 three days on.
    weekdays = (us // DAY_US + 3) % 7
    found: NDArray[np.bool_] = weekdays >= 5
    return found


def _business_days(us: Times) -> NDArray[np.int64]:
    weeks, weekday = np.divmod(us // DAY_US + 3, 7)
    return weeks * 5 + np.minimum(weekday, 4)


def _months(us: Times) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Months since 1970, day of the month, and whether it is the month's last."""
    days = us.astype("M8[us]").astype("M8[D]")
    months = days.astype("M8[M]")
    last = (days + 1).astype("M8[M]") != months
    return months.astype(np.int64), (days - months.astype("M8[D]")).astype(np.int64), last
