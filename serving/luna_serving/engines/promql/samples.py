"""Samples of many series in flat arrays, and the windows over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.promql.columns import Columns
from luna_serving.engines.promql.labels import Labels, sorted_labels
from luna_serving.engines.promql.series import Bools, Floats, Ints, Series, is_stale

_LARGEST_KEY = 2**62


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of series, one series after the other.

    Attributes:
        labels: per series, sorted.
        starts: int64 [series + 1]: where each series begins in the flat arrays, and the end.
        timestamps: int64 [samples], ms, ascending within a series.
        values: float64 [samples].
    """

    labels: Sequence[Labels]
    starts: Ints
    timestamps: Ints
    values: Floats

    @classmethod
    def of(cls, series: Sequence[Series]) -> "Samples":
        """The samples of loaded series, ordered by labels so that sums do not depend on the order of loading."""
        pairs = sorted(((sorted_labels(one.labels), one) for one in series), key=lambda pair: pair[0])
        starts = np.zeros(len(pairs) + 1, dtype=np.int64)
        if not pairs:
            return cls((), starts, np.empty(0, dtype=np.int64), np.empty(0))
        np.cumsum([len(one.timestamps) for _, one in pairs], out=starts[1:])
        timestamps = np.concatenate([one.timestamps for _, one in pairs])
        values = np.concatenate([one.values for _, one in pairs])
        return cls(tuple(labels for labels, _ in pairs), starts, timestamps, values)

    def without(self, removed: Bools) -> "Samples":
        """The samples that are not marked; removed is bool [samples]."""
        if not removed.any():
            return self
        kept_before = np.concatenate(([0], np.cumsum(~removed)))
        return Samples(self.labels, kept_before[self.starts], self.timestamps[~removed], self.values[~removed])

    def stale(self) -> Bools:
        """Where the staleness markers are, bool [samples]."""
        return is_stale(self.values)

    def upto(self, times: Ints) -> Ints:
        """For each series and time, the index after the last sample at or before the time.

        Args:
            times: int64 [times], ms.

        Returns:
            int64 [series, times], indices of the flat arrays.
        """
        begins = self.starts[:-1, np.newaxis]
        if not len(self.timestamps):
            return np.broadcast_to(begins, (len(self.labels), len(times)))
        shared = self._shared_timestamps()
        if shared is not None:
            together: Ints = begins + np.searchsorted(shared, times, side="right")
            return together
        # One search for all series: each series gets a range of keys of its own.
        base = int(self.timestamps.min())
        span = int(self.timestamps.max()) - base + 2
        if span * len(self.labels) > _LARGEST_KEY:
            parts = zip(self.starts[:-1], self.starts[1:], strict=True)
            each: Ints = np.array([np.searchsorted(self.timestamps[a:b], times, side="right") for a, b in parts])
            return begins + each
        origins = np.arange(len(self.labels), dtype=np.int64) * span
        keys = self.timestamps - base + np.repeat(origins, np.diff(self.starts))
        wanted = np.clip(times, base - 1, base + span - 2) - base
        found: Ints = np.searchsorted(keys, origins[:, np.newaxis] + wanted, side="right")
        return found

    def _shared_timestamps(self) -> Ints | None:
        """The timestamps of a series, if all series have the same ones."""
        count = len(self.labels)
        length, rest = divmod(len(self.timestamps), count)
        if rest or (np.diff(self.starts) != length).any():
            return None
        table = self.timestamps.reshape(count, length)
        return table[0] if (table == table[0]).all() else None


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of samples, per series and step: the samples `first .. end - 1` of the flat arrays.

    Attributes:
        samples: without staleness markers.
        first: int64 [series, steps].
        end: int64 [series, steps].
        ends_ms: int64 [steps]: where each window ends in time, inclusive.
        range_ms: how far each window reaches back; its start is exclusive.
        range_s: the same in seconds, as written.
    """

    samples: Samples
    first: Ints
    end: Ints
    ends_ms: Ints
    range_ms: int
    range_s: float


def windows(samples: Samples, ends_ms: Ints, range_ms: int, range_s: float) -> Windows:
    """The windows (end - range, end] over samples; int64 [steps] of ends."""
    samples = samples.without(samples.stale())
    first, end = samples.upto(ends_ms - range_ms), samples.upto(ends_ms)
    return Windows(samples, first, end, ends_ms, range_ms, range_s)


def latest(samples: Samples, times_ms: Ints, lookback_ms: int) -> tuple[Columns, Ints]:
    """The last sample of each series at each time, unless it is too old or a staleness marker.

    Args:
        samples: with staleness markers.
        times_ms: int64 [steps].
        lookback_ms: a sample this old is too old.

    Returns:
        The values, and the timestamps of the samples, int64 [series, steps].
    """
    if not len(samples.timestamps):
        columns = Columns.empty(len(times_ms))
        return columns, np.empty(columns.values.shape, dtype=np.int64)
    at = samples.upto(times_ms) - 1
    some = at >= samples.starts[:-1, np.newaxis]
    at = np.maximum(at, 0)
    timestamps = samples.timestamps[at]
    present = some & (timestamps > times_ms - lookback_ms)
    values = samples.values[at]
    present &= ~is_stale(values)
    columns = Columns(samples.labels, values, present)
    kept = present.any(axis=1)
    if kept.all():
        return columns, timestamps
    return columns.rows(np.flatnonzero(kept)), timestamps[kept]
