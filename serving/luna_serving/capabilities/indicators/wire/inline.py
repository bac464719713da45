"""Reads inline bars: columns of numbers with null for gaps, and their timestamps."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.jobs.batches import InlineBars
from luna_serving.capabilities.indicators.wire.formulas import DATE, instant
from luna_serving.engines.indicators.bars import COLUMNS
from luna_serving.wire import problems
from luna_serving.wire.numbers import NUMBER_OR_NULL
from luna_serving.wire.pointers import MAX_ERRORS, first
from luna_serving.wire.problems import FieldError
from luna_serving.wire.series import misfits

TIMESTAMP: Final = "timestamp"
WRONG_TIME: Final = "Must be a date or a time of ISO 8601, such as 2012-12-03 or 2012-12-03T15:30:00Z."


def read_bars(value: object, pointer: str, most: int) -> InlineBars:
    """The bars of a request.

    Raises:
        Problem: 422, with pointers to the columns and elements.
    """
    if not isinstance(value, dict):
        raise problems.invalid(
            FieldError(pointer, "Must be an object of columns: timestamp, open, high, low, close, volume.")
        )
    known = (TIMESTAMP, *COLUMNS)
    unknown = [name for name in value if name not in known]
    if unknown:
        wrong = f"Is no column of bars. Use {', '.join(known)}."
        raise problems.invalid(*(FieldError(f"{pointer}/{name[:64]}", wrong) for name in unknown[:10]))
    if TIMESTAMP not in value:
        raise problems.invalid(FieldError(f"{pointer}/{TIMESTAMP}", "Field required."))
    times = value[TIMESTAMP]
    at = f"{pointer}/{TIMESTAMP}"
    if not isinstance(times, list) or not times:
        raise problems.invalid(FieldError(at, "Must be a list of at least one date or time."))
    if len(times) > most:
        raise problems.invalid(FieldError(at, f"Has {len(times)} bars; at most {most} are taken. Upload a data set."))
    columns = {
        name: _column(value[name], f"{pointer}/{name}", len(times)) for name in COLUMNS if value.get(name) is not None
    }
    if not columns:
        raise problems.invalid(FieldError(pointer, "Must hold at least one column of numbers, such as close."))
    _check(columns, pointer)
    timestamps, intraday = _times(times, at)
    return InlineBars(timestamps, columns, intraday)


def _column(value: Any, pointer: str, bars: int) -> NDArray[np.float64]:  # noqa: ANN401  JSON
    if not isinstance(value, list):
        raise problems.invalid(FieldError(pointer, "Must be a list of numbers and nulls."))
    if len(value) != bars:
        raise problems.invalid(
            FieldError(pointer, f"Has {len(value)} elements, and timestamp {bars}: make them equal.")
        )
    if not set(map(type, value)) <= NUMBER_OR_NULL:
        raise problems.invalid(*first(misfits(pointer, value)))
    try:
        array = np.array(value, dtype=np.float64)
    except OverflowError:
        raise problems.invalid(*first(misfits(pointer, value))) from None
    if np.isinf(array).any():
        raise problems.invalid(*first(misfits(pointer, value)))
    return array


def _check(columns: Mapping[str, NDArray[np.float64]], pointer: str) -> None:
    """Refuse what an import of prices refuses, too: a high below its low, a negative volume.

    Raises:
        Problem: 422.
    """
    errors: list[FieldError] = []
    high, low, volume = (columns.get(name) for name in ("high", "low", "volume"))
    if high is not None and low is not None:
        # A comparison with a gap, NaN, is false.
        wrong = "Is {0:g}, below the bar's low, {1:g}. Exchange the two, or send null where they are unknown."
        below = np.flatnonzero(high < low)[:MAX_ERRORS]
        errors += [FieldError(f"{pointer}/high/{i}", wrong.format(high[i], low[i])) for i in below]
    if volume is not None:
        negative = np.flatnonzero(volume < 0)[:MAX_ERRORS]
        errors += [FieldError(f"{pointer}/volume/{i}", "Must be 0 or more, or null.") for i in negative]
    if errors:
        raise problems.invalid(*errors[:MAX_ERRORS])


def _times(texts: list[Any], pointer: str) -> tuple[NDArray[np.datetime64], bool]:
    """Timestamps in UTC, and whether one has a time of day."""
    found = [instant(text) for text in texts]
    wrong = (FieldError(f"{pointer}/{i}", WRONG_TIME) for i, each in enumerate(found) if each is None)
    if errors := first(wrong):
        raise problems.invalid(*errors)
    naive = [each.replace(tzinfo=None) for each in found if each is not None]
    times = np.array(naive, dtype="datetime64[us]")
    unordered = np.flatnonzero(times[1:] <= times[:-1])
    if len(unordered):
        i = int(unordered[0]) + 1
        kind = "is the same as" if times[i] == times[i - 1] else "lies before"
        wrong_order = f"Must be later than the bar before; it {kind} it. Sort the bars, one for each time."
        raise problems.invalid(FieldError(f"{pointer}/{i}", wrong_order))
    return times, not all(DATE.fullmatch(text) for text in texts)
