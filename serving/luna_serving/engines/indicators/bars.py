"""Price bars as columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
Times = NDArray[np.datetime64]

COLUMNS: Final = ("open", "high", "low", "close", "volume")


class BarsInvalid(ValueError):
    """Bars that no indicator can be computed from.

    `column` and `row` (from 0; None: the column as a whole) say where, `detail` says what to change.
    """

    def __init__(self, column: str, row: int | None, detail: str) -> None:
        super().__init__(f"{column}{'' if row is None else f'[{row}]'}: {detail}")
        self.column = column
        self.row = row
        self.detail = detail


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars of one instrument, oldest first. A column that is None is unknown; NaN in a column is a gap.

    Prices are in the instrument's currency, volume in units traded.

    Raises:
        BarsInvalid: lengths differ, timestamps do not increase, or a value is infinite.
    """

    timestamps: Times
    """datetime64[us], UTC, start of bar, strictly increasing [T]."""
    open: Column | None = None
    high: Column | None = None
    low: Column | None = None
    close: Column | None = None
    volume: Column | None = None
    gaps: Mapping[str, NDArray[np.bool_]] = field(init=False, repr=False)
    """Of each column that has any: where it has a gap [T]. Found once, since many indicators ask."""

    def __post_init__(self) -> None:
        """Check the columns against each other, and find their gaps."""
        if self.timestamps.ndim != 1 or not np.issubdtype(self.timestamps.dtype, np.datetime64):
            raise BarsInvalid("timestamps", None, "must be a vector of datetime64")
        unordered = np.flatnonzero(~(self.timestamps[1:] > self.timestamps[:-1]))
        if len(unordered):
            raise BarsInvalid("timestamps", int(unordered[0]) + 1, "must be later than the bar before")
        if len(self.timestamps) == 1 and np.isnat(self.timestamps[0]):
            raise BarsInvalid("timestamps", 0, "must be a time")
        gaps = {name: gaps for name in COLUMNS if (gaps := self._checked(name)) is not None}
        object.__setattr__(self, "gaps", gaps)

    def _checked(self, name: str) -> NDArray[np.bool_] | None:
        """Where a column has gaps; None where it has none, or is not there."""
        values = self.column(name)
        if values is None:
            return None
        if values.dtype != np.float64 or values.shape != self.timestamps.shape:
            detail = f"must be float64 of length {len(self.timestamps)}, got {values.dtype} of shape {values.shape}"
            raise BarsInvalid(name, None, detail)
        if np.isfinite(values).all():
            return None
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            raise BarsInvalid(name, int(infinite[0]), "must be finite, or NaN for a gap")
        return np.isnan(values)

    def __len__(self) -> int:
        return len(self.timestamps)

    def __getitem__(self, part: slice) -> "Bars":
        """The bars of a slice (step 1), as views."""
        cut = {name: None if (column := self.column(name)) is None else column[part] for name in COLUMNS}
        return Bars(self.timestamps[part], **cut)

    def column(self, name: str) -> Column | None:
        """A column by its name, one of `COLUMNS`."""
        match name:
            case "open":
                return self.open
            case "high":
                return self.high
            case "low":
                return self.low
            case "close":
                return self.close
            case "volume":
                return self.volume
            case _:
                raise KeyError(name)

    def with_column(self, name: str, values: Column) -> "Bars":
        """The same bars with one column replaced: how an expression feeds one indicator to another."""
        columns = {each: self.column(each) for each in COLUMNS} | {name: values}
        return Bars(self.timestamps, **columns)
