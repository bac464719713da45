"""The file with the bars of a market's version: Arrow IPC, uncompressed, so that a process maps it and copies nothing.

The bars of one symbol and interval are consecutive rows, oldest first; where they begin stands in the store's rows. A
missing price or volume is NaN.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luna_serving.engines.indicators.bars import COLUMNS, Bars

SCHEMA: Final = pa.schema([("timestamp", pa.timestamp("us", "UTC")), *((name, pa.float64()) for name in COLUMNS)])
BATCH_ROWS: Final = 1 << 17
"""Rows of a record batch, but the last: bars that lie across the border of two are copied when they are read."""
MEDIA_TYPE: Final = "application/vnd.apache.arrow.file"

Values = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Microseconds since 1970 [T], and prices and volume [5, T]."""


class BarsWriter:
    """Writes a file; holds less than one batch in memory."""

    def __init__(self, path: Path) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, SCHEMA)
        self._held: list[Values] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._sink.close()

    def write(self, us: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Append bars.

        Args:
            us: start of each bar, microseconds since 1970 [T].
            values: open, high, low, close, volume; NaN where missing [5, T].
        """
        at = 0
        while at < us.size:
            end = min(us.size, at + BATCH_ROWS - self._rows)
            self._held.append((us[at:end], values[:, at:end]))
            self._rows += end - at
            at = end
            if self._rows == BATCH_ROWS:
                self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        us = np.concatenate([each for each, _ in self._held])
        times = pa.array(us, pa.int64()).cast(SCHEMA.field(0).type)
        columns = [pa.array(np.concatenate([v[i] for _, v in self._held])) for i in range(len(COLUMNS))]
        self._writer.write_batch(pa.record_batch([times, *columns], schema=SCHEMA))
        self._held, self._rows = [], 0


KNOWN: Final = 8_192
"""Histories of a mapped file that stay checked, views of about 2 kB: checking 1,260 bars takes 50 µs."""


class MappedFile:
    """A file in memory as it is on disk. Reads need no lock; the file's name may go while it is mapped."""

    def __init__(self, path: Path) -> None:
        """Map a file.

        Raises:
            pyarrow.ArrowInvalid: it is none of ours.
        """
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        if reader.schema != SCHEMA:
            raise pa.ArrowInvalid(f"{path} holds {reader.schema.names}, not bars.")
        self._batches: list[tuple[NDArray[np.datetime64], list[NDArray[np.float64]]]] = []
        self._starts = [0]
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            times = batch.column(0).to_numpy(zero_copy_only=True)
            self._batches.append((times, [batch.column(k + 1).to_numpy() for k in range(len(COLUMNS))]))
            self._starts.append(self._starts[-1] + batch.num_rows)
        self._known: OrderedDict[tuple[int, int], Bars] = OrderedDict()

    @property
    def rows(self) -> int:
        """All of them."""
        return self._starts[-1]

    def bars(self, start: int, count: int) -> Bars:
        """Some rows: views, which must not be written to, unless they lie in several batches.

        Raises:
            IndexError: there are fewer rows.
        """
        if (known := self._known.get((start, count))) is not None:
            return known
        bars = self._read(start, count)
        # Not copies, nor where gaps are: those take memory.
        if not bars.gaps and not bars.timestamps.flags.owndata:
            self._known[start, count] = bars
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return bars

    def _read(self, start: int, count: int) -> Bars:
        if start < 0 or count < 0 or start + count > self.rows:
            raise IndexError(f"Rows {start} to {start + count} of {self.rows}.")
        parts = list(self._parts(start, count))
        if not parts:
            empty = np.empty(0)
            return Bars(np.empty(0, "datetime64[us]"), empty, empty, empty, empty, empty)
        if len(parts) == 1:
            return Bars(parts[0][0], *parts[0][1])
        columns = (np.concatenate([values[i] for _, values in parts]) for i in range(len(COLUMNS)))
        return Bars(np.concatenate([times for times, _ in parts]), *columns)

    def _parts(self, start: int, count: int) -> Iterator[tuple[NDArray[np.datetime64], list[NDArray[np.float64]]]]:
        number = bisect_right(self._starts, start) - 1
        end = start + count
        while start < end:
            first = self._starts[number]
            stop = min(end, self._starts[number + 1])
            part = slice(start - first, stop - first)
            times, columns = self._batches[number]
            yield times[part], [column[part] for column in columns]
            start, number = stop, number + 1
