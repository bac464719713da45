"""From a column of times to microseconds since 1970 in UTC; times without an offset are taken as they stand."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.tables import rules, text
from luna_serving.capabilities.datasets.validation.tables.tally import Tally

DAY_US: Final = 86_400_000_000
# Magnitudes of epochs between 1973 and 5138, by unit; smaller numbers are no times but counters or years.
_EPOCHS: Final = ((1e8, 1e11, "s", 1_000_000), (1e11, 1e14, "ms", 1_000), (1e14, 1e17, "us", 1), (1e17, 1e20, "ns", 0))
_YEARS: Final = (1000, 2999)
_EARLIEST_US, _LATEST_US = -70 * 365 * DAY_US, 180 * 365 * DAY_US
"""About 1900 to 2150."""
_DIGITS: Final = r"^\s*-?\d+(?:\.\d*)?\s*$"


@dataclass(frozen=True, slots=True)
class Instants:
    """Times of rows."""

    us: NDArray[np.int64]
    valid: NDArray[np.bool_]


class TimeColumn:
    """Converts the time column of one file, chunk by chunk, and reports what is wrong with it."""

    def __init__(self, name: str, timezone: str | None, tally: Tally) -> None:
        self._name, self._timezone, self._tally = name, timezone, tally
        self._epoch: str | None = None
        self.zoned: bool | None = None
        """Whether the times have an offset; None before the first."""
        self.kind: str | None = None
        """How they are written, for the summary."""

    def instants(self, column: pa.Array, rows: NDArray[np.int64], bad: NDArray[np.bool_] | None = None) -> Instants:
        """The times of a chunk; `bad` marks cells that are null because they were reported already."""
        missing = column.is_null().to_numpy(zero_copy_only=False)
        if missing.any():
            empty = missing if bad is None else missing & ~bad
            self._tally.rows(rules.NO_TIME, f"Column {self._name!r} is empty.", rows[empty], column=self._name)
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.dictionary_decode(), kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            us, valid = self._from_text(column.cast(pa.string()), rows)
        elif pa.types.is_timestamp(kind):
            self._see_zone(kind.tz is not None, rows)
            us, valid = _integers(column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())), ~missing
        elif pa.types.is_date(kind):
            self._see_zone(False, rows)
            us, valid = _integers(column.cast(pa.timestamp("us")).cast(pa.int64())), ~missing
        else:
            us, valid = self._from_numbers(column.cast(pa.float64(), safe=False), column, rows)
        self._look(us, valid, rows)
        return Instants(us, valid)

    def _from_text(self, cells: pa.Array, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        digits = pc.fill_null(pc.match_substring_regex(cells, _DIGITS), False)
        if pc.any(digits).as_py():
            return self._from_digits(cells, digits, rows)
        parsed, zoned = text.times(cells)
        self._unreadable(cells, parsed.bad, rows)
        valid = parsed.values.is_valid().to_numpy(zero_copy_only=False)
        if valid.any():
            usual = bool(zoned[valid][0]) if self.zoned is None else self.zoned
            for has_zone in (usual, not usual):
                of_kind = valid & (zoned == has_zone)
                if of_kind.any():
                    self._see_zone(has_zone, rows[of_kind])
        return _integers(parsed.values.cast(pa.int64())), valid

    def _from_digits(
        self, cells: pa.Array, digits: pa.Array, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Numbers among text: the column broke off being one of numbers."""
        others = cells.is_valid().to_numpy(zero_copy_only=False) & ~digits.to_numpy(zero_copy_only=False)
        self._unreadable(cells, others, rows)
        numbers = pc.if_else(digits, pc.utf8_trim_whitespace(cells), pa.scalar(None, pa.string())).cast(pa.float64())
        return self._from_numbers(numbers, cells, rows)

    def _from_numbers(
        self, numbers: pa.Array, cells: pa.Array, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        valid = numbers.is_valid().to_numpy(zero_copy_only=False)
        values = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
        magnitude = np.abs(values)
        us = np.zeros(len(values), np.int64)
        fits = np.zeros(len(values), bool)
        years = valid & (values >= _YEARS[0]) & (values <= _YEARS[1]) & (values == np.floor(values))
        if years.any():
            self._see_epoch("year", rows[years])
            us[years] = (values[years].astype(np.int64) - 1970).astype("M8[Y]").astype("M8[us]").astype(np.int64)
            fits |= years
        for low, high, unit, factor in _EPOCHS:
            here = valid & (magnitude >= low) & (magnitude < high)
            if here.any():
                self._see_epoch(unit, rows[here])
                us[here] = np.round(values[here] * factor if factor else values[here] / 1000)
                fits |= here
        self._unreadable(cells, valid & ~fits, rows)
        if fits.any():
            self.zoned = self._epoch != "year"
        return us, fits

    def _see_epoch(self, unit: str, rows: NDArray[np.int64]) -> None:
        if self._epoch is None:
            self._epoch = self.kind = unit
            what = "years" if unit == "year" else f"{unit} since 1970-01-01 UTC"
            message = f"Column {self._name!r} holds numbers, taken for {what}."
            self._tally.now(rules.EPOCH, message, row=int(rows.min()), column=self._name)
        elif unit != self._epoch:
            message = f"Column {self._name!r} goes on in {unit} after {self._epoch}."
            self._tally.rows(rules.MIXED_EPOCHS, message, rows, column=self._name)

    def _see_zone(self, zoned: bool, rows: NDArray[np.int64]) -> None:
        if self.zoned is None:
            self.zoned = zoned
            self.kind = "with offset" if zoned else "without offset"
        elif zoned != self.zoned:
            has, had = ("an", "none") if zoned else ("no", "one")
            message = f"Column {self._name!r} has {has} offset here; the rows before have {had}."
            self._tally.rows(rules.MIXED_ZONES, message, rows, column=self._name)

    def _unreadable(self, cells: pa.Array, bad: NDArray[np.bool_], rows: NDArray[np.int64]) -> None:
        at = np.flatnonzero(bad)
        if at.size:
            self._tally.rows(
                rules.UNREADABLE_TIME,
                f"Column {self._name!r} holds no time here.",
                rows[at],
                column=self._name,
                value=lambda i: cells[int(at[i])].as_py(),
            )

    def _look(self, us: NDArray[np.int64], valid: NDArray[np.bool_], rows: NDArray[np.int64]) -> None:
        if not us.size:
            return
        if us.min() < _EARLIEST_US or us.max() > _LATEST_US:
            odd = np.flatnonzero(valid & ((us < _EARLIEST_US) | (us > _LATEST_US)))
            self._tally.rows(
                rules.IMPLAUSIBLE_TIME,
                f"Column {self._name!r} is before 1900 or after 2150.",
                rows[odd],
                column=self._name,
                value=lambda i: iso(int(us[odd[i]])),
            )
        if self._timezone is not None and self.zoned is False:
            self._look_at_zone(us, valid, rows)

    def _look_at_zone(self, us: NDArray[np.int64], valid: NDArray[np.bool_], rows: NDArray[np.int64]) -> None:
        """Local times that the zone skips or repeats: where both readings differ, or one has no answer."""
        local = pa.array(us, pa.timestamp("us"))
        for rule, what, options in (
            (rules.NO_SUCH_TIME, "does not exist", {"nonexistent": "earliest", "ambiguous": "earliest"}),
            (rules.AMBIGUOUS_TIME, "is there twice", {"nonexistent": "earliest", "ambiguous": "latest"}),
        ):
            instant = pc.assume_timezone(local, self._timezone, **options)
            if rule is rules.NO_SUCH_TIME:
                back = pc.local_timestamp(instant)
                odd = _integers(back.cast(pa.int64())) != us
                first = instant
            else:
                odd = _integers(instant.cast(pa.int64())) != _integers(first.cast(pa.int64()))
            at = np.flatnonzero(odd & valid)
            self._tally.rows(
                rule,
                f"Column {self._name!r} {what} in {self._timezone}, where clocks change.",
                rows[at],
                column=self._name,
                value=partial(_shown, us, at),
            )


def _shown(us: NDArray[np.int64], at: NDArray[np.intp], i: int) -> str:
    return iso(int(us[at[i]]))


def iso(us: int) -> str:
    """A time as text."""
    shown = str(np.datetime64(us, "us"))
    return shown.removesuffix(".000000").removesuffix("T00:00:00")


def _integers(column: pa.Array) -> NDArray[np.int64]:
    if column.null_count:
        column = column.fill_null(0)
    values: NDArray[np.int64] = column.to_numpy(zero_copy_only=False)
    return values
