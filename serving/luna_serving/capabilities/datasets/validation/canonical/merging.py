"""Sorts more rows than memory holds: sorted runs on disk, merged block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.canonical.rows import Block

RUN_BYTES: Final = 48 << 20
"""Of the rows that are sorted at once; sorting takes about three times as much."""
_MERGE_BYTES: Final = 32 << 20
"""Of the rows of all runs that are in memory while they are merged."""


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted rows in a file: one array after the other."""

    file: Path
    rows: int
    types: tuple[np.dtype[np.generic], ...]

    @classmethod
    def write(cls, file: Path, block: Block) -> "Run":
        """Write sorted rows."""
        with file.open("wb") as stream:
            for array in block.arrays:
                np.ascontiguousarray(array).tofile(stream)
        return cls(file, block.series.size, tuple(array.dtype for array in block.arrays))

    def read(self, start: int, count: int) -> Block:
        """Some of the rows."""
        arrays, offset = [], 0
        for kind in self.types:
            at = offset + start * kind.itemsize
            arrays.append(np.fromfile(self.file, kind, count, offset=at))
            offset += self.rows * kind.itemsize
        return Block(arrays[0], arrays[1], tuple(arrays[2:]))


def ordered(block: Block, rank: NDArray[np.int32] | None = None) -> Block:
    """The rows by series and time.

    Args:
        block: in any order.
        rank: puts series in order; None: by their number.
    """
    series = block.series if rank is None else rank[block.series]
    same, later = series[1:] == series[:-1], block.us[1:] >= block.us[:-1]
    if bool(((series[1:] > series[:-1]) | (same & later)).all()):
        return block
    return block.take(np.lexsort((block.us, series)))


def joined(blocks: Sequence[Block]) -> Block:
    """Blocks one after the other."""
    if len(blocks) == 1:
        return blocks[0]
    columns = zip(*(block.columns for block in blocks), strict=True)
    return Block(
        np.concatenate([block.series for block in blocks]),
        np.concatenate([block.us for block in blocks]),
        tuple(np.concatenate(column) for column in columns),
    )


def merged(runs: Sequence[Run], rank: NDArray[np.int32]) -> Iterator[Block]:
    """The rows of all runs by rank of the series and time. Each run is sorted so."""
    width = sum(kind.itemsize for kind in runs[0].types)
    step = max(1024, _MERGE_BYTES // (width * len(runs)))
    places = [0] * len(runs)
    held: list[Block | None] = [None] * len(runs)
    while True:
        for i, run in enumerate(runs):
            if held[i] is None and places[i] < run.rows:
                count = min(step, run.rows - places[i])
                held[i] = run.read(places[i], count)
                places[i] += count
        there = [(i, block) for i, block in enumerate(held) if block is not None]
        if not there:
            return
        # Rows up to the least of the last rows that are in memory: whatever is still on disk comes after them.
        more = [(int(rank[b.series[-1]]), int(b.us[-1])) for i, b in there if places[i] < runs[i].rows]
        bound = min(more, default=None)
        taken = []
        for i, block in there:
            cut = block.series.size if bound is None else _up_to(block, rank, bound)
            if cut:
                taken.append(block.take(slice(0, cut)))
            held[i] = None if cut == block.series.size else block.take(slice(cut, None))
        yield ordered(joined(taken), rank)


def _up_to(block: Block, rank: NDArray[np.int32], bound: tuple[int, int]) -> int:
    """How many rows of a sorted block are not after a bound."""
    series = rank[block.series]
    first, last = np.searchsorted(series, bound[0], "left"), np.searchsorted(series, bound[0], "right")
    return int(first + np.searchsorted(block.us[first:last], bound[1], "right"))
