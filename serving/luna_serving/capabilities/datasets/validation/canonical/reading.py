"""Reads series from a canonical copy, which Luna wrote itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.canonical.building import INDEX


@dataclass(frozen=True, slots=True)
class SeriesValues:
    """Rows of one series, in the order of their times."""

    us: NDArray[np.int64]
    """Microseconds since 1970; UTC where the set's times have an offset."""
    columns: Mapping[str, NDArray[np.float64]]
    """NaN where a value is missing."""


class CanonicalCopy:
    """An open copy. Reads may come from several threads, one at a time each."""

    def __init__(self, path: Path) -> None:
        """Open a copy and read its index.

        Raises:
            ValueError: the file is none.
        """
        self._file = pq.ParquetFile(path, memory_map=True)
        metadata = self._file.metadata
        index = (metadata.metadata or {}).get(INDEX)
        if index is None:
            raise ValueError(f"{path} is no canonical copy: it has no index of series.")
        table = pa.ipc.open_stream(index).read_all()
        names = table["series"].to_pylist()
        starts, counts = table["start"].to_numpy(), table["count"].to_numpy()
        self._spans = dict(zip(names, zip(starts.tolist(), counts.tolist(), strict=True), strict=True))
        groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._ends = np.cumsum(groups)
        self.rows: int = metadata.num_rows
        schema = self._file.schema_arrow
        self._time = schema.names[1]
        self.columns: tuple[str, ...] = tuple(f.name for f in list(schema)[2:] if pa.types.is_floating(f.type))
        """That hold numbers."""

    @property
    def series(self) -> Sequence[str]:
        """The names of all series, in order."""
        return tuple(self._spans)

    def lengths(self, series: Sequence[str]) -> Sequence[int]:
        """The rows of some series, without reading them.

        Raises:
            KeyError: a name is no series of the set.
        """
        return [self._spans[name][1] for name in series]

    def read(self, series: Sequence[str], columns: Sequence[str] | None = None) -> Mapping[str, SeriesValues]:
        """The values of some series.

        Args:
            series: their names.
            columns: of numbers; None: all.

        Raises:
            KeyError: a name is no series or no column of the set.
        """
        chosen = self.columns if columns is None else tuple(columns)
        for name in chosen:
            if name not in self.columns:
                raise KeyError(name)
        spans = {name: self._spans[name] for name in series}
        groups = sorted({group for start, count in spans.values() for group in self._groups(start, count)})
        if not groups:
            return {}
        table = self._file.read_row_groups(groups, columns=[self._time, *chosen], use_threads=False)
        us = table[self._time].cast(pa.int64()).to_numpy()
        values = {name: _numbers(table[name]) for name in chosen}
        # Where each row group begins among the rows that were read.
        sizes = np.diff(self._ends, prepend=0)
        offsets = dict(zip(groups, np.cumsum([0, *sizes[groups]]).tolist()[:-1], strict=True))
        found = {}
        for name, (start, count) in spans.items():
            group = self._groups(start, count)[0]
            at = offsets[group] + start - int(self._ends[group] - sizes[group])
            part = slice(at, at + count)
            found[name] = SeriesValues(us[part], {column: each[part] for column, each in values.items()})
        return found

    def _groups(self, start: int, count: int) -> range:
        first = int(np.searchsorted(self._ends, start, "right"))
        return range(first, int(np.searchsorted(self._ends, start + count - 1, "right")) + 1)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    # Without nulls and in one chunk this copies nothing.
    numbers: NDArray[np.float64] = column.to_numpy()
    return numbers
