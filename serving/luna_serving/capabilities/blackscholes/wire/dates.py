"""Expiry dates as years, by a day count."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

DAY_COUNTS: Final = ("act/365", "act/360", "act/act", "30/360")


def years_between(start: np.datetime64, ends: np.ndarray, day_count: str) -> np.ndarray:
    """Years from a date to others.

    Args:
        start: a day.
        ends: days, `datetime64[D]`.
        day_count: `act/365` (fixed), `act/360`, `act/act` (ISDA 2006, 4.16(b)) or `30/360` (4.16(f)).
    """
    days: NDArray[np.float64] = (ends - start).astype(float)
    match day_count:
        case "act/360":
            return days / 360.0
        case "act/act":
            passed: NDArray[np.float64] = _calendar_years(ends) - _calendar_years(np.asarray([start]))[0]
            return passed
        case "30/360":
            return _thirty(np.asarray([start])[0], ends)
        case _:
            return days / 365.0


def _calendar_years(days: np.ndarray) -> np.ndarray:
    """The calendar year, and the part of it that has passed."""
    year = days.astype("datetime64[Y]")
    first = year.astype("datetime64[D]")
    length = ((year + 1).astype("datetime64[D]") - first).astype(float)
    passed: NDArray[np.float64] = year.astype(int) + (days - first).astype(float) / length
    return passed


def _thirty(start: np.datetime64, ends: np.ndarray) -> np.ndarray:
    y1, m1, d1 = _parts(np.asarray([start]))
    y2, m2, d2 = _parts(ends)
    d1 = np.minimum(d1, 30)
    d2 = np.where(d1 == 30, np.minimum(d2, 30), d2)
    years: NDArray[np.float64] = (360.0 * (y2 - y1) + 30.0 * (m2 - m1) + (d2 - d1)) / 360.0
    return years


def _parts(days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    months = days.astype("datetime64[M]")
    day = (days - months.astype("datetime64[D]")).astype(int) + 1
    return months.astype(int) // 12, months.astype(int) % 12, day
