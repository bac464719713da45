"""Times of series: order, duplicates, distances, gaps. Streams; a series' rows may be spread over the whole file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.frequency import Frequency
from luna_serving.capabilities.datasets.validation.tables.steps import guess, steps, weekend

_NONE: Final = np.iinfo(np.int64).min
MOST_GAPS: Final = 1_000
"""Gaps that are listed with their place; more are counted."""
_MOST_DISTANCES: Final = 20_000
Rows = NDArray[np.int64]
Local = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Times on the clocks of the zone whose calendar counts."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Steps of a series that are missing."""

    series: int
    row: int
    """That ends it."""
    after: int
    before: int
    missing: int


@dataclass(slots=True)
class Places:
    """Rows of one kind: how many, and the first."""

    count: int = 0
    row: int = -1
    us: int = 0
    series: int = 0

    def add(self, rows: Rows, us: Rows, series: NDArray[np.int32]) -> None:
        """Add rows with their times and series."""
        if rows.size:
            at = int(rows.argmin())
            if not self.count or rows[at] < self.row:
                self.row, self.us, self.series = int(rows[at]), int(us[at]), int(series[at])
            self.count += int(rows.size)


@dataclass(slots=True)
class Clock:
    """Follows the times of all series of a file."""

    frequency: Frequency | None
    """That is expected; None: the first chunk's guess."""
    local: Local
    disorder: Places = field(default_factory=Places)
    duplicates: Places = field(default_factory=Places)
    """Next to each other; all of them as long as the order is right."""
    off_grid: Places = field(default_factory=Places)
    gaps: list[Gap] = field(default_factory=list)
    gap_count: int = 0
    distances: dict[int, int] = field(default_factory=dict)
    weekends: bool = False
    stepped: int = 0
    """Distances that were one step."""
    last: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    first: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    greatest: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Rows = field(default_factory=lambda: np.empty(0, np.int64))

    def feed(self, series: NDArray[np.int32], us: Rows, rows: Rows, *, known: int) -> None:
        """Follow the times of further rows.

        Args:
            series: number of each row's series; rows of one series next to each other, in the file's order.
            us: its time.
            rows: its place in the file.
            known: series so far.
        """
        if not us.size:
            return
        self._grow(known)
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        ends = np.r_[starts[1:], us.size] - 1
        before = np.empty_like(us)
        before[1:] = us[:-1]
        before[starts] = self.last[series[starts]]
        self.last[series[starts]] = us[ends]
        self.counts[series[starts]] += ends - starts + 1
        for merge, bound in ((np.minimum, self.first), (np.maximum, self.greatest)):
            bound[series[starts]] = merge(bound[series[starts]], merge.reduceat(us, starts))
        self.weekends = self.weekends or weekend(self.local(us))
        follows = before != _NONE
        if not follows.all():
            series, us, rows, before = series[follows], us[follows], rows[follows], before[follows]
        self._compare(series, us, rows, before)

    def _compare(self, series: NDArray[np.int32], us: Rows, rows: Rows, before: Rows) -> None:
        distance = us - before
        for places, mask in ((self.disorder, distance < 0), (self.duplicates, distance == 0)):
            if mask.any():
                places.add(rows[mask], us[mask], series[mask])
        forward = distance > 0
        if not forward.all():
            series, us, rows, before = series[forward], us[forward], rows[forward], before[forward]
            distance = distance[forward]
        if not us.size:
            return
        there, back = self.local(us), self.local(before)
        self._remember(there - back)
        if self.frequency is None:
            self.frequency = guess(self.distances, weekends=self.weekends)
        if self.frequency is not None:
            self._step(self.frequency, series, us, rows, before, there, back)

    def _remember(self, distance: Rows) -> None:
        # Most are equal: count those first, and sort only the rest.
        usual = distance[0]
        rest = distance[distance != usual]
        found = {int(usual): int(distance.size - rest.size)}
        if rest.size:
            values, counts = np.unique(rest, return_counts=True)
            if len(self.distances) + values.size > _MOST_DISTANCES:
                often = np.argsort(counts)[::-1][:100]
                values, counts = values[often], counts[often]
            found.update(zip(values.tolist(), counts.tolist(), strict=True))
        for value, count in found.items():
            self.distances[value] = self.distances.get(value, 0) + count

    def _step(
        self,
        frequency: Frequency,
        series: NDArray[np.int32],
        us: Rows,
        rows: Rows,
        before: Rows,
        there: Rows,
        back: Rows,
    ) -> None:
        count, aligned = steps(back, there, frequency)
        self.stepped += int(np.count_nonzero(aligned & (count == 1)))
        off = ~aligned | (count < 1)
        if off.any():
            self.off_grid.add(rows[off], us[off], series[off])
        at = np.flatnonzero(aligned & (count > 1))
        self.gap_count += at.size
        for i in at[: MOST_GAPS - len(self.gaps)].tolist():
            self.gaps.append(Gap(int(series[i]), int(rows[i]), int(before[i]), int(us[i]), int(count[i]) - 1))

    def _grow(self, known: int) -> None:
        size = self.last.size
        if known > size:
            more = max(known, 2 * size) - size
            self.last = np.r_[self.last, np.full(more, _NONE)]
            self.first = np.r_[self.first, np.full(more, np.iinfo(np.int64).max)]
            self.greatest = np.r_[self.greatest, np.full(more, _NONE)]
            self.counts = np.r_[self.counts, np.zeros(more, np.int64)]
