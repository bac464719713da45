"""Rules for bars. Each wrong row is named by its file and row number."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.market.importing.reading import Block
from luna_serving.capabilities.market.importing.refusals import MOST_SHOWN, ImportRefused, Wrong

OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)
NOT_IMPORTED: Final = "Some bars are wrong; nothing was imported. Correct the files, and import again."
# The years that datetime can show, with a day to spare for intervals.
FIRST_US: Final = -62_135_510_400_000_000
LAST_US: Final = 253_402_128_000_000_000


def check_values(block: Block) -> None:
    """Check each row by itself.

    Raises:
        ImportRefused: a price or volume is infinite or negative, or prices contradict each other.
    """
    with np.errstate(invalid="ignore"):
        found = [(wrong, np.flatnonzero(rows)) for wrong, rows in _rules(block)]
    found = [(wrong, rows) for wrong, rows in found if rows.size]
    if not found:
        return
    # Stable: of a row that breaks several rules, the rule that comes first is named first.
    shown = ((int(row), wrong) for wrong, rows in found for row in rows[:MOST_SHOWN])
    first = sorted(shown, key=lambda each: each[0])[:MOST_SHOWN]
    raise ImportRefused(
        NOT_IMPORTED,
        tuple(_wrong(block, row, wrong) for row, wrong in first),
        sum(rows.size for _, rows in found),
    )


def _rules(block: Block) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    values = block.values
    high, low = values[HIGH], values[LOW]
    # A sum is finite unless one of its terms is not; NaN is a missing value.
    if np.isinf(np.nansum(np.abs(values))):
        yield "A value is infinite.", np.asarray(np.isinf(values).any(axis=0))
    yield "The volume is negative.", values[VOLUME] < 0
    yield "The high is below the low.", high < low
    for name, column in (("open", values[OPEN]), ("close", values[CLOSE])):
        yield f"The {name} is outside low and high.", (column > high) | (column < low)
    yield "The time is outside the years 1 to 9999.", (block.us < FIRST_US) | (block.us > LAST_US)


class Order:
    """Checks that the bars of each series are sorted and unique within a file, over the borders of blocks."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._last: dict[int, int] = {}

    def check(
        self, block: Block, series: NDArray[np.int32], order: NDArray[np.int64] | None, starts: Sequence[int]
    ) -> None:
        """Check a block.

        Args:
            block: the rows.
            series: the number of the series of each row, sorted [R].
            order: which row of the block each of them is; None: they are in order.
            starts: where each series begins in `series`.

        Raises:
            ImportRefused: a bar is not later than the one before it of the same series.
        """
        us = block.us if order is None else block.us[order]
        late = us[1:] <= us[:-1]
        late &= series[1:] == series[:-1]
        places = [int(each) + 1 for each in np.flatnonzero(late)]
        before = {at: int(us[at - 1]) for at in places}
        ends = [*starts[1:], series.size]
        for start, end in zip(starts, ends, strict=True):
            number = int(series[start])
            last = self._last.get(number)
            if last is not None and us[start] <= last:
                places.append(start)
                before[start] = last
            self._last[number] = int(us[end - 1])
        if places:
            rows = sorted((at if order is None else int(order[at]), at) for at in places)
            wrong = tuple(_wrong(block, row, _late(int(us[at]), before[at])) for row, at in rows[:MOST_SHOWN])
            raise ImportRefused(NOT_IMPORTED, wrong, len(rows))


def _late(us: int, before: int) -> str:
    if us == before:
        return f"The bar of {when(us)} is there twice."
    return f"The bar of {when(us)} comes after that of {when(before)}: sort each symbol by time."


def when(us: int) -> str:
    """A time for people."""
    text = str(np.datetime64(us, "us").astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")


def _wrong(block: Block, row: int, what: str) -> Wrong:
    return Wrong(block.file, block.first_row + row, block.symbols[block.symbol[row]], what)
