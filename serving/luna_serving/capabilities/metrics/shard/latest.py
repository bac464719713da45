"""The first and the last sample of each series of an account, in memory and as blocks for Postgres."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.metrics.shard.runs import Floats, Ints, Run, groups, times_of

# Series of one row of Postgres: 24 bytes each.
BLOCK: Final = 1_024
_COLUMNS: Final = np.dtype([("first_ms", "<i8"), ("last_ms", "<i8"), ("last_value", "<f8")])
_FAR: Final = 2**62


class Latest:
    """Columns by the id of the series; they grow with the ids."""

    def __init__(self) -> None:
        # Row 0 is of no series. An account without samples, of which somebody has asked, takes no block.
        self._columns = self._blank(1)
        self.written_s: Floats = np.full(1, -np.inf)
        """When each series was last written to, on the clock of the process."""
        self._touched: set[int] = set()

    def load(self, blocks: Mapping[int, bytes], now_ms: int, now_s: float) -> None:
        """Take the blocks that were stored. A series counts as written to at the time of its last sample.

        Args:
            blocks: by number.
            now_ms: the time.
            now_s: the same instant, on the clock of the process.
        """
        for block, data in blocks.items():
            self.reserve((block + 1) * BLOCK)
            place = slice(block * BLOCK, (block + 1) * BLOCK)
            self._columns[place] = np.frombuffer(data, _COLUMNS)
            ages_s = (now_ms - self._columns["last_ms"][place]) / 1_000
            self.written_s[place] = now_s - np.maximum(ages_s, 0.0)

    @property
    def highest(self) -> int:
        """The highest id of a series that ever had samples; 0 for none."""
        found = np.flatnonzero(self._columns["last_ms"] > -_FAR)
        return int(found[-1]) if len(found) else 0

    def reserve(self, size: int) -> None:
        """Make room for ids below `size`."""
        have = len(self._columns)
        if size <= have:
            return
        size = -(-max(size, 2 * have) // BLOCK) * BLOCK
        self._columns = np.concatenate([self._columns, self._blank(size - have)])
        self.written_s = np.concatenate([self.written_s, np.full(size - have, -np.inf)])

    def add(self, run: Run, origin_ms: int, now_s: float) -> Ints:
        """Take the samples of a run; returns the series whose last sample has changed.

        Args:
            run: written after all before.
            origin_ms: of its keys.
            now_s: on the clock of the process.
        """
        ids, starts = groups(run)
        if not len(ids):
            return ids
        self.reserve(int(ids[-1]) + 1)
        firsts = times_of(run.keys[starts[:-1]], origin_ms)
        at = starts[1:] - 1
        lasts = times_of(run.keys[at], origin_ms)
        self.written_s[ids] = now_s
        columns = self._columns
        columns["first_ms"][ids] = np.minimum(columns["first_ms"][ids], firsts)
        newer = lasts >= columns["last_ms"][ids]
        changed = ids[newer]
        columns["last_ms"][changed] = lasts[newer]
        columns["last_value"][changed] = run.values[at[newer]]
        self._touched.update(np.unique(ids // BLOCK).tolist())
        return changed

    def of(self, series: Ints) -> tuple[Ints, Floats]:
        """The last timestamp and value of series that have samples."""
        rows = self._columns[series]
        return rows["last_ms"].copy(), rows["last_value"].copy()

    def between(self, series: Ints, first_ms: int, last_ms: int) -> Ints:
        """Those of the series that may have samples in a period, bounds inclusive."""
        rows = self._columns[series]
        found: Ints = series[(rows["first_ms"] <= last_ms) & (rows["last_ms"] >= first_ms)]
        return found

    def extent(self, series: Ints) -> tuple[int, int]:
        """The first and the last timestamp of series together; of none a period that is empty."""
        if not len(series):
            return 0, -1
        rows = self._columns[series]
        return int(rows["first_ms"].min()), int(rows["last_ms"].max())

    def touched(self) -> dict[int, bytes]:
        """The blocks that have changed since the last call."""
        blocks = {each: self._columns[each * BLOCK : (each + 1) * BLOCK].tobytes() for each in sorted(self._touched)}
        self._touched.clear()
        return blocks

    def touch_again(self, blocks: Mapping[int, bytes]) -> None:
        """Take back what `touched` has returned: it was not stored."""
        self._touched.update(blocks)

    def active(self, since_s: float) -> int:
        """How many series were written to since an instant of the clock of the process."""
        return int(np.count_nonzero(self.written_s >= since_s))

    @staticmethod
    def _blank(size: int) -> NDArray[np.void]:
        blank = np.zeros(size, _COLUMNS)
        blank["first_ms"] = _FAR
        blank["last_ms"] = -_FAR
        return blank
