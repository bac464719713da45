"""Parts of dates: seconds since 1970 in UTC to hours, days, months."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from luna_serving.engines.promql.series import Floats

_Dates = npt.NDArray[Any]
#: Seconds that `datetime64[s]` can hold and whose year NumPy can compute.
_LARGEST: Final = 2.0**55


def _number(values: _Dates) -> Floats:
    return values.astype(np.int64).astype(np.float64)


def _month_start(dates: _Dates) -> _Dates:
    return dates.astype("datetime64[M]").astype("datetime64[D]")


def _days_in_month(dates: _Dates) -> Floats:
    months = dates.astype("datetime64[M]")
    return _number((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]"))


PARTS: Final[Mapping[str, Callable[[_Dates], Floats]]] = {
    "days_in_month": _days_in_month,
    "day_of_month": lambda dates: _number(dates.astype("datetime64[D]") - _month_start(dates)) + 1,
    # The first of January 1970 was a Thursday.
    "day_of_week": lambda dates: (_number(dates.astype("datetime64[D]")) + 4) % 7,
    "day_of_year": lambda dates: (
        _number(dates.astype("datetime64[D]") - dates.astype("datetime64[Y]").astype("datetime64[D]")) + 1
    ),
    "hour": lambda dates: _number(dates) // 3600 % 24,
    "minute": lambda dates: _number(dates) // 60 % 60,
    "month": lambda dates: _number(dates.astype("datetime64[M]")) % 12 + 1,
    "year": lambda dates: _number(dates.astype("datetime64[Y]")) + 1970,
}


def part(name: str, seconds: Floats) -> Floats:
    """A part of dates.

    Args:
        name: of the function.
        seconds: since 1970, of any shape; fractions are cut off.

    Returns:
        The part; NaN for what is no date.
    """
    valid = np.abs(seconds) < _LARGEST
    whole = np.where(valid, np.trunc(seconds), 0).astype(np.int64)
    return np.where(valid, PARTS[name](whole.astype("datetime64[s]")), np.nan)
