"""Values of a column: missing, NaN, infinite, out of range, constant for long."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.findings import Rule
from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.tally import Tally

CONSTANT_FROM: Final = 50
"""Equal values in a row that are suspicious. Zeros are not: demand that is rare has them."""
_EXACT: Final = float(2**53)
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(slots=True)
class ValueColumn:
    """Checks one column of numbers, chunk by chunk."""

    name: str
    bounds: tuple[float | None, float | None]
    nullable: bool | None
    tally: Tally
    constant: bool = True
    """Whether constant stretches are looked for."""
    least: float = np.inf
    greatest: float = -np.inf
    stretches: int = 0
    longest: int = 0
    _stretch_row: int = -1
    _stretch_value: float = 0.0
    _last: Floats = field(default_factory=lambda: np.empty(0))
    _length: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    _began: Rows = field(default_factory=lambda: np.empty(0, np.int64))

    def check(self, column: pa.Array, rows: Rows, bad: NDArray[np.bool_] | None = None) -> Floats:
        """Check values in the file's order; returns them with NaN where they are missing.

        Args:
            column: of float64.
            rows: of the values.
            bad: cells that are null because they were reported already.
        """
        values = self._without_missing(column, rows, bad)
        # Both bounds at once, and NaN and infinity with them, in two passes.
        least, greatest = _bounds(values)
        if np.isnan(least) or np.isinf(least) or np.isinf(greatest):
            least, greatest = self._irregular(values, column, rows)
        self.least, self.greatest = min(self.least, least), max(self.greatest, greatest)
        low, high = self.bounds
        if (low is not None and least < low) or (high is not None and greatest > high):
            outside = np.zeros(len(values), bool)
            outside |= values < (-np.inf if low is None else low)
            outside |= values > (np.inf if high is None else high)
            self._add(rules.RANGE, f"is outside {_interval(low, high)}", outside & np.isfinite(values), values, rows)
        if max(-least, greatest) > _EXACT:
            large = np.isfinite(values) & (np.abs(values) > _EXACT)
            self._add(rules.DIGITS, "has more digits than float64", large, values, rows)
        return values

    def _without_missing(self, column: pa.Array, rows: Rows, bad: NDArray[np.bool_] | None) -> Floats:
        if column.null_count:
            missing = column.is_null().to_numpy(zero_copy_only=False)
            if bad is not None:
                missing = missing & ~bad
            self._missing(missing, rows, "is empty")
            column = column.fill_null(np.nan)
        values: Floats = column.to_numpy(zero_copy_only=False)
        return values

    def _missing(self, at: NDArray[np.bool_], rows: Rows, what: str) -> None:
        if self.nullable is not True:
            rule = rules.MISSING if self.nullable is None else rules.FORBIDDEN_MISSING
            self.tally.rows(rule, f"Column {self.name!r} {what}.", rows[at], column=self.name)

    def _irregular(self, values: Floats, column: pa.Array, rows: Rows) -> tuple[float, float]:
        nan = np.isnan(values)
        if column.null_count:
            nan &= column.is_valid().to_numpy(zero_copy_only=False)
        if nan.any():
            if self.nullable is False:
                self._missing(nan, rows, "is NaN")
            else:
                self._add(rules.NAN, "is NaN", nan, values, rows)
        infinite = np.isinf(values)
        self._add(rules.INFINITE, "is infinite", infinite, values, rows)
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (np.inf, -np.inf)

    def follow(self, values: Floats, series: NDArray[np.int32], rows: Rows, starts: Rows, known: int) -> None:
        """Follow runs of equal values.

        Args:
            values: with the rows of a series next to each other.
            series: number of each row's series.
            rows: its place in the file.
            starts: where a series begins in `series`.
            known: series so far.
        """
        if not self.constant or not values.size:
            return
        self._grow(known)
        changed = np.empty(values.size, bool)
        changed[0] = True
        np.not_equal(values[1:], values[:-1], out=changed[1:])
        changed[starts] = True
        heads = np.flatnonzero(changed)
        lengths = np.diff(heads, append=values.size)
        # A run at the beginning of a series' rows may go on from the last chunk.
        first = np.searchsorted(heads, starts)
        of = series[starts]
        goes_on = self._last[of] == values[starts]
        began = rows[heads]
        carried, at = of[goes_on], first[goes_on]
        lengths[at] += self._length[carried]
        began[at] = self._began[carried]
        ended_before = of[~goes_on]
        self._note(self._last[ended_before], self._length[ended_before], self._began[ended_before])
        # The last run of each series is carried on; the others have ended.
        final = np.r_[first[1:], heads.size] - 1
        open_ = np.zeros(heads.size, bool)
        open_[final] = True
        if lengths.max(initial=0) >= CONSTANT_FROM:
            done = ~open_
            self._note(values[heads[done]], lengths[done], began[done])
        self._last[of], self._length[of], self._began[of] = values[heads[final]], lengths[final], began[final]

    def close(self) -> None:
        """Report constant stretches."""
        self._note(self._last, self._length, self._began)
        if self.stretches:
            self.tally.now(
                rules.CONSTANT,
                f"Column {self.name!r} stays the same for {CONSTANT_FROM} rows or more of a series, at most for "
                f"{self.longest:,}.",
                row=self._stretch_row,
                column=self.name,
                count=self.stretches,
                value=f"{self._stretch_value:g}",
            )

    def _note(self, values: Floats, lengths: Rows, began: Rows) -> None:
        long = (lengths >= CONSTANT_FROM) & (values != 0) & ~np.isnan(values)
        if long.any():
            self.stretches += int(np.count_nonzero(long))
            self.longest = max(self.longest, int(lengths[long].max()))
            row = int(began[long].min())
            if self._stretch_row < 0 or row < self._stretch_row:
                self._stretch_row = row
                self._stretch_value = float(values[long][began[long].argmin()])

    def _grow(self, known: int) -> None:
        size = self._last.size
        if known > size:
            more = max(known, 2 * size) - size
            self._last = np.r_[self._last, np.full(more, np.nan)]
            self._length = np.r_[self._length, np.zeros(more, np.int64)]
            self._began = np.r_[self._began, np.zeros(more, np.int64)]

    def _add(self, rule: Rule, what: str, at: NDArray[np.bool_], values: Floats, rows: Rows) -> None:
        found = np.flatnonzero(at)
        self.tally.rows(
            rule,
            f"Column {self.name!r} {what}.",
            rows[found],
            column=self.name,
            value=lambda i: f"{values[found[i]]:g}",
        )


@dataclass(slots=True)
class EnumColumn:
    """Checks that a column has the contract's values only."""

    name: str
    allowed: Sequence[str]
    nullable: bool | None
    tally: Tally

    def check(self, column: pa.Array, rows: Rows) -> None:
        """Check a chunk: a dictionary of text."""
        missing = column.is_null().to_numpy(zero_copy_only=False)
        if self.nullable is not True:
            rule = rules.MISSING if self.nullable is None else rules.FORBIDDEN_MISSING
            self.tally.rows(rule, f"Column {self.name!r} is empty.", rows[missing], column=self.name)
        names = column.dictionary.cast(pa.string()).to_pylist()
        bad = np.asarray([*(name is not None and name not in self.allowed for name in names), False])
        if bad.any():
            indices = column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
            at = np.flatnonzero(bad[indices])
            self.tally.rows(
                rules.ENUM,
                f"Column {self.name!r} has a value that the contract does not list.",
                rows[at],
                column=self.name,
                value=lambda i: names[indices[at[i]]],
            )


def _bounds(values: Floats) -> tuple[float, float]:
    if not values.size:
        return np.inf, -np.inf
    return float(values.min()), float(values.max())


def _interval(low: float | None, high: float | None) -> str:
    return f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
