"""The times of a whole file: feeds the clock, keeps the keys of rows that may need another look, and reports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.contract import TableContract
from luna_serving.capabilities.datasets.validation.frequency import Frequency, Unit
from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.clock import MOST_GAPS, Clock, Places
from luna_serving.capabilities.datasets.validation.tables.seasons import season
from luna_serving.capabilities.datasets.validation.tables.steps import REGULAR, guess
from luna_serving.capabilities.datasets.validation.tables.tally import Tally, shortened
from luna_serving.capabilities.datasets.validation.tables.times import iso

MOST_KEYS: Final = 5_000_000
"""Rows whose series and time are kept: 20 bytes each. Of more rows only neighbours are compared."""
_CALENDAR: Final = (Unit.DAY, Unit.BUSINESS_DAY, Unit.WEEK, Unit.MONTH, Unit.QUARTER, Unit.YEAR)
_FEW: Final = 3
Rows = NDArray[np.int64]


@dataclass(slots=True)
class Schedule:
    """What the times of a file came to."""

    frequency: Frequency | None
    regular: bool
    clock: Clock


class Times:
    """Collects the times of a file and reports what they came to."""

    def __init__(self, contract: TableContract, tally: Tally, name_of: Callable[[int], str]) -> None:
        self._contract, self._tally, self._name_of = contract, tally, name_of
        self._zoned = False
        self._clock = Clock(contract.frequency, self._local)
        self._keys: list[tuple[NDArray[np.int32], Rows, Rows]] = []
        self._kept = self._rows = 0
        self.coverage: list[dict[str, str]] = []

    def feed(self, series: NDArray[np.int32], us: Rows, rows: Rows, *, known: int, zoned: bool) -> None:
        """Follow the times of further rows; see `Clock.feed`."""
        self._zoned = zoned
        self._rows += us.size
        if self._kept + us.size <= MOST_KEYS:
            self._keys.append((series, us, rows))
            self._kept += us.size
        self._clock.feed(series, us, rows, known=known)

    def close(self) -> Schedule:
        """Report, and return what is known of the file's times."""
        clock = self._clock
        found = guess(clock.distances, weekends=clock.weekends)
        wrong_guess = self._contract.frequency is None and found != clock.frequency
        if clock.disorder.count or wrong_guess:
            clock = self._again(None if wrong_guess or clock.disorder.count else found)
        self._place(rules.DISORDER, self._clock.disorder, "comes after a later time of its series")
        duplicates = clock.duplicates if clock is not self._clock else self._clock.duplicates
        self._place(rules.DUPLICATE_TIME, duplicates, "is there already")
        total = sum(clock.distances.values())
        regular = clock.frequency is not None and clock.stepped >= REGULAR * total
        self._report_frequency(clock, total, regular)
        self._report_lengths(clock, clock.frequency if regular else None)
        return Schedule(clock.frequency if regular else None, regular, clock)

    def _again(self, frequency: Frequency | None) -> Clock:
        """Follow all times in order: what is a duplicate and a gap does not depend on the file's order then."""
        if self._rows > self._kept:
            reason = f"the file has more than {MOST_KEYS:,} rows, and they are not in the order of their times"
            self.coverage.append({"check": "duplicates and gaps of rows that are far apart", "reason": reason})
            return self._clock
        series, us, rows = (np.concatenate(part) for part in zip(*self._keys, strict=True))
        self._keys.clear()
        order = np.lexsort((rows, us, series))
        known = int(self._clock.counts.size)
        frequency = self._contract.frequency or frequency
        again = Clock(frequency, self._local)
        if frequency is None:
            again.feed(series[order], us[order], rows[order], known=known)
            return again
        again.feed(series[order], us[order], rows[order], known=known)
        return again

    def _local(self, us: Rows) -> Rows:
        frequency = self._contract.frequency
        calendar = frequency is None or frequency.unit in _CALENDAR
        if not (self._zoned and self._contract.timezone and calendar):
            return us
        there = pc.local_timestamp(
            pa.array(us, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", self._contract.timezone))
        )
        local: Rows = there.cast(pa.int64()).to_numpy()
        return local

    def _place(self, rule: Any, places: Places, what: str) -> None:  # noqa: ANN401
        if places.count:
            at, column = iso(places.us), self._contract.time_column
            message = f"{at}{self._series(places.series)} {what}."
            self._tally.now(rule, message, row=places.row, column=column, count=places.count, value=at)

    def _report_frequency(self, clock: Clock, total: int, regular: bool) -> None:
        column, wanted = self._contract.time_column, self._contract.frequency
        if not total:
            return
        if wanted is not None and not regular:
            found = guess(clock.distances, weekends=clock.weekends)
            have = f"most are {found} apart" if found else "most distances differ"
            places = clock.off_grid
            row, count = (places.row, places.count) if places.count else (_first_gap(clock), total - clock.stepped)
            message = f"The contract says {wanted}; {have}."
            self._tally.now(rules.OFF_FREQUENCY, message, row=row, column=column, count=max(1, count))
            return
        if not regular:
            message = "No distance between times is that of half of them."
            self._tally.now(rules.IRREGULAR, message, column=column)
            self.coverage.append({"check": "gaps", "reason": "the times have no regular frequency"})
            return
        rule = rules.IRREGULAR if wanted is None else rules.OFF_FREQUENCY
        self._place(rule, clock.off_grid, f"is not a multiple of {clock.frequency} after the time before it")
        self._report_gaps(clock)

    def _report_gaps(self, clock: Clock) -> None:
        holidays = clock.frequency is not None and clock.frequency.unit is Unit.BUSINESS_DAY
        if holidays and any(gap.missing <= _FEW for gap in clock.gaps):
            reason = "up to three business days are taken for holidays: Luna has no calendar of them"
            self.coverage.append({"check": "short gaps of business days", "reason": reason})
        for gap in clock.gaps:
            if holidays and gap.missing <= _FEW:
                continue
            steps = "1 step is" if gap.missing == 1 else f"{gap.missing:,} steps are"
            self._tally.now(
                rules.GAP,
                f"{steps} missing between {iso(gap.after)} and {iso(gap.before)}{self._series(gap.series)}.",
                row=gap.row,
                column=self._contract.time_column,
                count=gap.missing,
            )
        if clock.gap_count > MOST_GAPS:
            more = clock.gap_count - MOST_GAPS
            self._tally.now(
                rules.GAP, f"{more:,} further gaps are not listed.", column=self._contract.time_column, count=more
            )

    def _report_lengths(self, clock: Clock, frequency: Frequency | None) -> None:
        counts = clock.counts
        short = np.flatnonzero((counts > 0) & (counts < _FEW))
        self._series_finding(rules.SINGLE, short, "fewer than three observations")
        length = season(frequency)
        if length is not None:
            brief = np.flatnonzero((counts >= _FEW) & (counts < 2 * length))
            self._series_finding(rules.SHORT, brief, f"fewer than {2 * length} observations, two seasons of {length}")

    def _series_finding(self, rule: Any, series: Rows, what: str) -> None:  # noqa: ANN401
        if series.size:
            names = ", ".join(shortened(self._name_of(int(each))) or "the file" for each in series[:_FEW])
            more = f" and {series.size - _FEW:,} more" if series.size > _FEW else ""
            verb = "has" if series.size == 1 else "have"
            self._tally.now(rule, f"{names}{more} {verb} {what}.", count=int(series.size))

    def _series(self, number: int) -> str:
        name = self._name_of(number)
        return f" of {shortened(name)!r}" if name else ""


def _first_gap(clock: Clock) -> int | None:
    return clock.gaps[0].row if clock.gaps else None
