"""Series side by side: matrices with a column per series, whose last rows are their last samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Series = tuple[Ints, Floats]
"""Timestamps in ms, ascending, and values; a value that is not finite counts as missing."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Samples of many series, aligned at the end; rows before the first sample of a column are padding.

    Row k of one column and row k of another have nothing in common but their place: each series has its own times.
    """

    times: Ints
    """Shape (rows, series): ms. Padding repeats the first time."""
    values: Floats
    """Shape (rows, series): NaN where missing, and in padding."""
    counts: Ints
    """Shape (series,): samples of each column."""

    def tail(self, rows: int) -> "Panel":
        """The last `rows` rows."""
        if rows >= len(self.times):
            return self
        return Panel(self.times[-rows:], self.values[-rows:], np.minimum(self.counts, rows))

    def columns(self, chosen: slice | Ints) -> "Panel":
        """Some of the series."""
        return Panel(self.times[:, chosen], self.values[:, chosen], self.counts[chosen])

    def unpacked(self, matrix: Floats) -> list[Floats]:
        """The rows of a matrix of this shape that belong to samples, by series."""
        return [matrix[len(matrix) - count :, i] for i, count in enumerate(self.counts)]


def pack(series: Sequence[Series]) -> Panel:
    """Puts series side by side.

    Raises:
        ValueError: timestamps and values differ in length, or timestamps do not ascend.
    """
    counts = np.array([len(times) for times, _ in series], dtype=np.int64)
    rows = int(counts.max(initial=0))
    # A row per series, turned at the end: writing columns would touch a cache line per sample.
    times = np.zeros((len(series), rows), dtype=np.int64)
    values = np.full((len(series), rows), np.nan)
    for i, (stamps, numbers) in enumerate(series):
        if len(stamps) != len(numbers):
            raise ValueError(f"series {i} has {len(stamps)} timestamps and {len(numbers)} values")
        if len(stamps) == 0:
            continue
        if (np.diff(stamps) <= 0).any():
            raise ValueError(f"the timestamps of series {i} do not ascend")
        first = rows - len(stamps)
        times[i, :first] = stamps[0]
        times[i, first:] = stamps
        values[i, first:] = np.where(np.isfinite(numbers), numbers, np.nan)
    return Panel(np.ascontiguousarray(times.T), np.ascontiguousarray(values.T), counts)
