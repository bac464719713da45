"""How often a series is observed: "1h", "D", "M"."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """The units of a frequency."""

    MILLISECOND = "ms"
    SECOND = "s"
    MINUTE = "min"
    HOUR = "h"
    DAY = "D"
    BUSINESS_DAY = "B"
    WEEK = "W"
    MONTH = "M"
    QUARTER = "Q"
    YEAR = "Y"


# Spellings of pandas, old and new, that mean the same where only the distance between times counts.
_ALIASES: Final = {
    "L": "ms", "S": "s", "T": "min", "m": "min", "H": "h", "d": "D", "b": "B", "w": "W",
    "MS": "M", "ME": "M", "QS": "Q", "QE": "Q", "YS": "Y", "YE": "Y", "A": "Y", "AS": "Y",
}  # fmt: skip
_FORM: Final = re.compile(r"([1-9]\d{0,5})?([A-Za-z]+)")
GREATEST_COUNT: Final = 999_999
"""Of units in one step: what the form takes."""
MICROSECONDS: Final = {
    Unit.MILLISECOND: 1_000,
    Unit.SECOND: 1_000_000,
    Unit.MINUTE: 60_000_000,
    Unit.HOUR: 3_600_000_000,
    Unit.DAY: 86_400_000_000,
    Unit.WEEK: 7 * 86_400_000_000,
}
"""Of the units that always last as long."""
_MONTHS: Final = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}


@dataclass(frozen=True, slots=True)
class Frequency:
    """A number of units between one observation and the next."""

    count: int
    unit: Unit

    @classmethod
    def of(cls, text: str) -> "Frequency":
        """Read "15min", "h", "D".

        Raises:
            ValueError: the text is no frequency; the message has the cure.
        """
        match = _FORM.fullmatch(text)
        unit = match and _ALIASES.get(match[2], match[2])
        if match is None or unit not in set(Unit):
            raise ValueError(f"must be a number and one of {', '.join(Unit)}, such as 15min, 1h, D or M; got {text!r}")
        count = int(match[1] or 1)
        if unit == Unit.BUSINESS_DAY and count > 1:
            raise ValueError("must be B for business days, without a number")
        return cls(count, Unit(unit))

    @property
    def microseconds(self) -> int | None:
        """Between two observations; None if that depends on the calendar."""
        unit = MICROSECONDS.get(self.unit)
        return None if unit is None else unit * self.count

    @property
    def months(self) -> int | None:
        """Between two observations; None for units that are no months."""
        unit = _MONTHS.get(self.unit)
        return None if unit is None else unit * self.count

    def __str__(self) -> str:
        return self.unit.value if self.count == 1 else f"{self.count}{self.unit.value}"
