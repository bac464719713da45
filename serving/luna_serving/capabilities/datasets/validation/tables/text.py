"""From text to numbers and times, cell by cell where a whole column does not parse: says which cells are at fault."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# What Arrow's own parser takes: no sign +, no thousands separators.
_NUMBER: Final = r"(?i)^\s*-?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|nan|inf(?:inity)?)\s*$"
_DATE: Final = r"\d{4}-\d{2}-\d{2}"
_CLOCK: Final = r"[ T]\d{2}(?::\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?"
_NAIVE: Final = rf"^{_DATE}(?:{_CLOCK})?$"
_ZONED: Final = rf"^{_DATE}{_CLOCK}(?:Z|[+-]\d{{2}}(?::?\d{{2}})?)$"

Cells = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A column, with null where a cell does not parse."""

    values: pa.Array
    bad: Cells


def utf8(column: pa.Array) -> Parsed:
    """Text from bytes."""
    try:
        return Parsed(column.cast(pa.string()), np.zeros(len(column), bool))
    except pa.ArrowInvalid:
        return _each(column, lambda cell: cell.as_py().decode(), pa.string())


def single_lines(column: pa.Array) -> Parsed:
    """The same text, without cells of several lines."""
    several = pc.fill_null(pc.match_substring(column, "\n"), False)
    if not pc.any(several).as_py():
        return Parsed(column, np.zeros(len(column), bool))
    return Parsed(pc.if_else(several, pa.scalar(None, column.type), column), several.to_numpy(zero_copy_only=False))


def numbers(column: pa.Array) -> Parsed:
    """Numbers from text."""
    trimmed = pc.utf8_trim_whitespace(column)
    return _masked(trimmed, pc.match_substring_regex(trimmed, _NUMBER), lambda cells: cells.cast(pa.float64()))


def times(column: pa.Array) -> tuple[Parsed, Cells]:
    """Times from text, in UTC microseconds, and which of them have an offset."""
    trimmed = pc.utf8_trim_whitespace(column)
    zoned = pc.fill_null(pc.match_substring_regex(trimmed, _ZONED), False)
    naive = pc.match_substring_regex(trimmed, _NAIVE)
    without = _masked(trimmed, pc.or_(naive, zoned), _naive)
    if not pc.any(zoned).as_py():
        return without, np.zeros(len(column), bool)
    with_offset = _masked(trimmed, zoned, _with_offset)
    plain = _masked(trimmed, naive, _naive)
    values = pc.if_else(zoned, with_offset.values, plain.values)
    return Parsed(values, with_offset.bad & plain.bad), zoned.to_numpy(zero_copy_only=False)


def _naive(cells: pa.Array) -> pa.Array:
    try:
        return cells.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # More than six digits of a second.
        return cells.cast(pa.timestamp("ns")).cast(pa.timestamp("us"), safe=False)


def _with_offset(cells: pa.Array) -> pa.Array:
    try:
        times = cells.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        times = cells.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC"), safe=False)
    return times.cast(pa.timestamp("us"))


def _masked(column: pa.Array, fits: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> Parsed:
    """Convert the cells that have the form; those that still fail are found one by one."""
    fits = pc.fill_null(fits, False)
    cells = pc.if_else(fits, column, pa.scalar(None, column.type))
    present = column.is_valid().to_numpy(zero_copy_only=False)
    bad = present & ~fits.to_numpy(zero_copy_only=False)
    try:
        return Parsed(convert(cells), bad)
    except pa.ArrowInvalid:
        kind = convert(pa.array([], column.type)).type
        found = _each(cells, lambda cell: convert(pa.array([cell.as_py()], column.type))[0].as_py(), kind)
        return Parsed(found.values, bad | found.bad)


def _each(column: pa.Array, convert: Callable[[Any], object], kind: pa.DataType) -> Parsed:
    values: list[object] = []
    bad = np.zeros(len(column), bool)
    for i, cell in enumerate(column):
        try:
            values.append(convert(cell) if cell.is_valid else None)
        except (UnicodeDecodeError, pa.ArrowInvalid, ValueError, OverflowError):
            values.append(None)
            bad[i] = True
    return Parsed(pa.array(values, kind), bad)
