"""Data and means as the compiled programs read and write them: blocks of `ROWS` periods of one tile, copied nowhere.

For whoever keeps data in this form: turning it, or the means, series-major costs more than the filter itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from luna_serving.engines.statespace.plans.memory import SPARE, Floats, Place, Precision, aligned
from luna_serving.engines.statespace.plans.tiles import ROWS, Tile, tiles


class Packed(NamedTuple):
    """Observations laid out as the compiled programs read them, so that nothing is copied any more."""

    length: int
    tiles: list[Tile]
    blocks: list[list[Floats]]  # [tile][chunk], each `aligned`

    def of(self, tile: Tile) -> Iterator[tuple[Floats, int]]:
        """The blocks of one tile and how many rows of each mean something."""
        return zip(self.blocks[self.tiles.index(tile)], (rows for _, rows in chunks(self.length)), strict=True)

    def precise(self, precision: Precision) -> None:
        """Refuse blocks of another number format: they would be compiled for anew."""
        if self.blocks and self.blocks[0][0].dtype != precision:
            raise ValueError(f"the observations are packed in {self.blocks[0][0].dtype}, not {np.dtype(precision)}")


def packed(y: Floats, precision: Precision = np.float64, *, threads: int = 1) -> Packed:
    """Pack `[batch, time]`."""
    batch, length = y.shape
    cut = tiles(batch, threads=threads)
    blocks = []
    for tile in cut:
        own = []
        for first, rows in chunks(length):
            data = aligned((ROWS, tile.width), precision)
            data[:rows, : tile.used] = y[tile.first : tile.first + tile.used, first : first + rows].T
            own.append(data)
        blocks.append(own)
    return Packed(length, cut, blocks)


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
    memory: tuple[Place[jax.Array], ...] = ()
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

    def series(self, place: int) -> Floats:
        """One series `[time, ...]`, copied."""
        for tile in self.parts:
            lanes = tile[0].shape[-1]
            if place < lanes:
                return np.concatenate([part[..., place] for part in tile])
            place -= lanes
        raise IndexError("the batch has fewer series")
