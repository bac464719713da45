"""Batches cut into blocks of a few known shapes.

A block is `ROWS` periods of one tile of series: 8 MB of means of two states in float64, of which a program touches
the periods that it is given. Only these shapes are ever compiled. A batch has at least one series and one period.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from luna_serving.statespace.plans.memory import SPARE, Floats, Place, aligned
from luna_serving.statespace.plans.threads import on_threads

# Every new shape would be a fresh XLA compile on a live replica, so these are all there are.
ROWS: Final = 1024
WIDTHS: Final = (32, 128, 512)
# A transpose this many periods at a time stays in the cache.
ROWS_AT_A_TIME: Final = 32


class Tile(NamedTuple):
    """Some neighbouring series of a batch, `used` of them, and the compiled width that holds them."""

    first: int
    used: int
    width: int


def tiles(batch: int, *, threads: int = 1) -> list[Tile]:
    """Cut a batch into tiles, into one a thread at least: padding a wider one costs what it would have carried."""
    share = -(-batch // threads)
    widest = WIDTHS[-1] if threads == 1 else next((width for width in reversed(WIDTHS) if width <= share), WIDTHS[0])
    cut = []
    for first in range(0, batch, widest):
        count = min(widest, batch - first)
        cut.append(Tile(first, count, next(width for width in WIDTHS if width >= count)))
    return cut


def staging(width: int, precision: type[np.float64] | type[np.float32] = np.float64) -> Floats:
    """A block for data, zeroed, which a compiled program reads where it stands.

    Such a block must not change before the program is done. Elsewhere it is copied, 0.1 to 0.6 ns a step.
    """
    return aligned((ROWS, width), precision)


class Packed(NamedTuple):
    """Observations laid out as the compiled programs read them, so that nothing is copied any more."""

    length: int
    tiles: list[Tile]
    blocks: list[list[Floats]]  # [tile][chunk], each `staging`

    def precise(self, precision: type[np.float64] | type[np.float32]) -> None:
        """Refuse blocks of another number format: they would be compiled for anew."""
        if self.blocks and self.blocks[0][0].dtype != precision:
            raise ValueError(f"the observations are packed in {self.blocks[0][0].dtype}, not {np.dtype(precision)}")


def packed(y: Floats, precision: type[np.float64] | type[np.float32] = np.float64, *, threads: int = 1) -> Packed:
    """Pack `[time, batch]`."""
    cut = tiles(y.shape[1], threads=threads)
    blocks = [[data for data, _ in data_of(y, tile, precision, anew=True)] for tile in cut]
    return Packed(len(y), cut, blocks)


def data_of(
    y: Floats | Packed, tile: Tile, precision: type[np.float64] | type[np.float32] = np.float64, *, anew: bool = False
) -> Iterator[tuple[Floats, int]]:
    """The blocks of one tile and how many rows of each mean something.

    Of an array `[time, batch]` they are all the same block, filled again: the program that reads it must be done
    before the next one is asked for. `anew` makes each its own.
    """
    if isinstance(y, Packed):
        for data, (_, rows) in zip(y.blocks[y.tiles.index(tile)], chunks(y.length), strict=True):
            yield data, rows
        return
    data = staging(tile.width, precision)
    for first, rows in chunks(len(y)):
        if anew and first:
            data = staging(tile.width, precision)
        data[:rows, : tile.used] = y[first : first + rows, tile.first : tile.first + tile.used]
        yield data, rows


def chunks(length: int) -> Iterator[tuple[int, int]]:
    """Cut a time axis into (first row, rows), of at most `ROWS` rows."""
    for first in range(0, length, ROWS):
        yield first, min(ROWS, length - first)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """What a plan wrote, where the compiled program wrote it: nothing has been copied, and all of it is read-only.

    `parts[tile][chunk]` is `[rows, ..., lanes]`; tiles follow each other along the batch, chunks along time.
    """

    parts: tuple[tuple[Floats, ...], ...]
    memory: tuple[Place, ...] = ()
    """What `parts` are views of, where it can be used again."""

    def release(self) -> None:
        """Say that neither this nor a view of it is read any more: the next answer is written over it."""
        memory = self.memory
        object.__setattr__(self, "parts", ())
        object.__setattr__(self, "memory", ())
        SPARE.give(memory)

    @property
    def length(self) -> int:
        """Periods."""
        return sum(len(part) for part in self.parts[0])

    @property
    def batch(self) -> int:
        """Series."""
        return sum(tile[0].shape[-1] for tile in self.parts)

    @property
    def starts(self) -> list[int]:
        """Where each tile begins along the batch."""
        return [0, *accumulate(tile[0].shape[-1] for tile in self.parts[:-1])]

    def series(self, place: int) -> Floats:
        """One series `[time, ...]`, copied."""
        for tile in self.parts:
            lanes = tile[0].shape[-1]
            if place < lanes:
                return np.concatenate([part[..., place] for part in tile])
            place -= lanes
        raise IndexError("the batch has fewer series")

    def time_major(self) -> Floats:
        """All of it as one array `[time, ..., batch]`, copied."""
        first = self.parts[0][0]
        whole = np.empty((self.length, *first.shape[1:-1], self.batch), first.dtype)
        for tile, start in zip(self.parts, self.starts, strict=True):
            row = 0
            for part in tile:
                whole[row : row + len(part), ..., start : start + part.shape[-1]] = part
                row += len(part)
        return whole

    def series_major(self, pool: Executor | None = None) -> Floats:
        """All of it as one array `[batch, time, ...]`, copied, a tile on each thread of the pool."""
        first = self.parts[0][0]
        whole = np.empty((self.batch, self.length, *first.shape[1:-1]), first.dtype)

        def place(number: int) -> None:
            start, row = self.starts[number], 0
            for part in self.parts[number]:
                turn(part, whole[start : start + part.shape[-1], row : row + len(part)])
                row += len(part)

        on_threads(pool, place, range(len(self.parts)))
        return whole


def turn(time_major: Floats, series_major: Floats) -> None:
    """Copy `[time, ..., batch]` into `[batch, time, ...]`."""
    turned = np.moveaxis(time_major, -1, 0)
    for first in range(0, len(time_major), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        series_major[:, rows] = turned[:, rows]
