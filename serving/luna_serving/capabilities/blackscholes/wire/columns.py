"""Checks the columns of options, whatever form they came in, and finds the first thing wrong with each."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa

from luna_serving.capabilities.blackscholes.wire.dates import years_between
from luna_serving.wire import problems
from luna_serving.wire.numbers import infinite, is_finite
from luna_serving.wire.problems import FieldError

TYPES: Final = {"call": 1.0, "put": -1.0}
NUMBERS: Final = ("spot", "forward", "strike", "rate", "dividend_yield", "volatility", "price")
NAMES: Final = ("type", "spot", "forward", "strike", "rate", "dividend_yield", "volatility", "price", "expiry")
_WRONG_TYPE: Final = "Must be call or put."
_NO_NUMBER: Final = "Must be a number."
_NO_DATE: Final = "Must be a number of years, or a date such as 2027-01-15."


class Columns:
    """Collects columns and the errors in them."""

    def __init__(self, at: str, most_rows: int) -> None:
        """Begin.

        Args:
            at: the pointer to the columns.
            most_rows: that a request may have.
        """
        self._at = at
        self._most = most_rows
        self.errors: list[FieldError] = []
        self._lengths: dict[str, int] = {}

    def rows(self) -> int:
        """The common length of all lists, 1 where there are none; wrong lengths become errors."""
        if not self._lengths:
            return 1
        count = max(self._lengths.values())
        longest = next(name for name, length in self._lengths.items() if length == count)
        if count > self._most:
            self.wrong(longest, f"Has {count} rows; a request may have {self._most}. Send less at once.")
        for name, length in self._lengths.items():
            if length != count:
                self.wrong(name, f"Has {length} values; {longest} has {count}. Send one value, or {count}.")
        return count

    def wrong(self, name: str, detail: str) -> None:
        """Note an error of a column."""
        self.errors.append(FieldError(f"{self._at}/{name}", detail))

    def signs(self, value: object) -> Any:  # noqa: ANN401  an array or a number
        """+1 for a call, -1 for a put."""
        if isinstance(value, pa.ChunkedArray):
            value = self._listed("type", value, pa.string())
        if isinstance(value, list):
            self._measure("type", value)
            try:
                return np.fromiter(map(TYPES.__getitem__, value), float, len(value))
            except (KeyError, TypeError):
                first = next(i for i, each in enumerate(value) if not isinstance(each, str) or each not in TYPES)
                self.wrong(f"type/{first}", _WRONG_TYPE)
        elif isinstance(value, str) and value in TYPES:
            return TYPES[value]
        else:
            self.wrong("type", _WRONG_TYPE)
        return 1.0

    def numbers(self, name: str, value: object) -> Any:  # noqa: ANN401  an array or a number
        """A column of finite numbers; of a table, null is NaN."""
        if isinstance(value, pa.ChunkedArray):
            return self._of_table(name, value)
        if isinstance(value, list):
            self._measure(name, value)
            if set(map(type, value)) <= {int, float}:
                try:
                    found = np.array(value, float)
                except OverflowError:
                    found = np.array([each if is_finite(each) else np.inf for each in value], float)
                if np.isfinite(found).all():
                    return found
                first = int(np.flatnonzero(~np.isfinite(found))[0])
                self.errors.append(infinite(f"{self._at}/{name}/{first}", or_null=False))
            else:
                first = next((i for i, each in enumerate(value) if type(each) not in {int, float}), 0)
                self.wrong(f"{name}/{first}", _NO_NUMBER)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if is_finite(value):
                return float(value)
            self.errors.append(infinite(f"{self._at}/{name}", or_null=False))
        else:
            self.wrong(name, f"{_NO_NUMBER[:-1]}, or a list of numbers.")
        return 1.0

    def expiries(self, value: object, valuation: str | None, day_count: str) -> Any:  # noqa: ANN401  array or number
        """Years to expiry, from years or dates."""
        if isinstance(value, pa.ChunkedArray) and not pa.types.is_temporal(value.type):
            if not (pa.types.is_string(value.type) or pa.types.is_dictionary(value.type)):
                return self.numbers("expiry", value)
            value = self._listed("expiry", value, pa.string())
        listed = value if isinstance(value, list) else [value]
        of_dates = isinstance(value, pa.ChunkedArray) or (bool(listed) and isinstance(listed[0], str))
        if not of_dates:
            return self.numbers("expiry", value)
        start = self._day("valuation_date", valuation) if valuation is not None else None
        if start is None:
            if valuation is None:
                self.wrong("valuation_date", "Is missing: expiries that are dates count from it.")
            return 1.0
        if isinstance(value, pa.ChunkedArray):
            days = self._listed("expiry", value, pa.date32(), "datetime64[D]")
            return years_between(start, days, day_count)
        if isinstance(value, list):
            self._measure("expiry", value)
        read = [
            self._day(f"expiry/{i}" if isinstance(value, list) else "expiry", each) for i, each in enumerate(listed)
        ]
        if any(each is None for each in read):
            return 1.0
        years = years_between(start, np.array(read, "datetime64[D]"), day_count)
        return years if isinstance(value, list) else float(years[0])

    def _day(self, name: str, text: object) -> np.datetime64 | None:
        try:
            if isinstance(text, str) and len(text) == len("2027-01-15"):
                return np.datetime64(date.fromisoformat(text), "D")
        except ValueError:
            pass
        # One error per column says enough.
        column = name.split("/", 1)[0]
        if not any(error.pointer.startswith(f"{self._at}/{column}") for error in self.errors):
            self.wrong(name, _NO_DATE if column == "expiry" else "Must be a date such as 2026-11-29.")
        return None

    def _measure(self, name: str, value: Sequence[object]) -> None:
        if not len(value):
            self.wrong(name, "Must not be empty.")
        else:
            self._lengths[name] = len(value)

    def _of_table(self, name: str, value: pa.ChunkedArray) -> np.ndarray:
        self._measure(name, value)
        try:
            return np.ascontiguousarray(value.cast(pa.float64()).to_numpy())
        except (pa.ArrowException, ValueError):
            self.wrong(name, f"Has the type {value.type}. Send numbers.")
            return np.ones(len(value))

    def _listed(self, name: str, value: pa.ChunkedArray, kind: pa.DataType, dtype: str = "") -> Any:  # noqa: ANN401
        self._measure(name, value)
        try:
            cast = value.cast(kind)
        except (pa.ArrowException, ValueError):
            self.wrong(name, f"Has the type {value.type}. Send {kind}.")
            return np.zeros(len(value), dtype) if dtype else ["call"] * len(value)
        return cast.to_numpy().astype(dtype) if dtype else cast.to_pylist()


def refuse(errors: Sequence[FieldError]) -> None:
    """Refuse a request with errors.

    Raises:
        Problem: 422.
    """
    if errors:
        raise problems.invalid(*errors[:10])


def filled(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are there."""
    return {name: each for name, each in columns.items() if each is not None}
