"""Sorted columns of samples of many series, and how they are merged: a later write wins. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Bits of a key that hold the time: 17 years of milliseconds. The rest holds the id of the series.
TIME_BITS: Final = 39
_TIME: Final = (1 << TIME_BITS) - 1
HIGHEST_SERIES: Final = (1 << (63 - TIME_BITS)) - 1
# How long before its origin a key can be: more than the longest retention.
BEFORE_MS: Final = 330_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples by series and time, without duplicates.

    One sorted column says both, so that a series is found by bisection and two runs are merged by one sort.
    """

    keys: Ints
    """Shape (samples,), ascending: the id of the series, then milliseconds after the origin."""
    values: Floats

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """In memory."""
        return self.keys.nbytes + self.values.nbytes


EMPTY: Final = Run(np.empty(0, np.int64), np.empty(0, np.float64))


def run_of(series: Ints, timestamps: Ints, values: Floats, origin_ms: int) -> Run:
    """A run of samples in the order in which they were written.

    Args:
        series: shape (samples,), ids.
        timestamps: shape (samples,), ms.
        values: shape (samples,).
        origin_ms: of the keys.
    """
    return _sorted((series << TIME_BITS) | (timestamps - origin_ms), values)


def merged(runs: Sequence[Run]) -> Run:
    """One run of several, the earliest written first."""
    if len(runs) == 1:
        return runs[0]
    return _sorted(np.concatenate([run.keys for run in runs]), np.concatenate([run.values for run in runs]))


def _sorted(keys: Ints, values: Floats) -> Run:
    if len(keys) < 2 or (keys[1:] > keys[:-1]).all():
        return Run(keys, values)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    last = np.append(keys[1:] != keys[:-1], True)
    if last.all():
        return Run(keys, values[order])
    return Run(keys[last], values[order[last]])


def series_of(keys: Ints) -> Ints:
    """The series of each key."""
    found: Ints = keys >> TIME_BITS
    return found


def times_of(keys: Ints, origin_ms: int) -> Ints:
    """The timestamp of each key, ms."""
    found: Ints = (keys & _TIME) + origin_ms
    return found


def spans(run: Run, series: Ints, first_ms: int, last_ms: int, origin_ms: int) -> tuple[Ints, Ints]:
    """Where the samples of series are in a run, as slices; bounds inclusive.

    Args:
        run: to look in.
        series: shape (series,), ids.
        first_ms: of the first sample.
        last_ms: of the last sample.
        origin_ms: of the keys.
    """
    first = min(max(first_ms - origin_ms, 0), _TIME)
    last = min(max(last_ms - origin_ms, -1), _TIME)
    base = series << TIME_BITS
    low = np.searchsorted(run.keys, base | first, "left")
    return low, np.maximum(low, np.searchsorted(run.keys, base + last, "right"))


def groups(run: Run) -> tuple[Ints, Ints]:
    """The series of a run, and where each begins; the last element is the length of the run."""
    if not len(run):
        return np.empty(0, np.int64), np.zeros(1, np.int64)
    ids = series_of(run.keys)
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    return ids[starts], np.append(starts, len(ids))


def latest_written(columns: Sequence[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    """Samples of one series from several sources, the earliest written first, each by time and without duplicates."""
    columns = [each for each in columns if len(each[0])]
    if not columns:
        return EMPTY.keys, EMPTY.values
    if len(columns) == 1:
        return columns[0]
    times = np.concatenate([each[0] for each in columns])
    run = _sorted(times, np.concatenate([each[1] for each in columns]))
    return run.keys, run.values
