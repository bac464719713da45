"""Batches cut into blocks of a few known shapes, on as many threads as the caller lends.

A block is `ROWS` periods of one tile of series: 4 MB of means of two states in float64. Smaller ones would stay in
the second cache, but a call into a compiled program costs 15 us and, on a busy core, 80. Only these shapes are ever
compiled. A batch has at least one series and one period.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

# Every new shape would be a fresh XLA compile on a live replica, so these are all there are.
ROWS: Final = 512
WIDTHS: Final = (32, 128, 512)
# A transpose this many periods at a time stays in the cache.
ROWS_AT_A_TIME: Final = 32

Floats = NDArray[Any]  # float64 or float32
Result = TypeVar("Result")


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
    """A block for data, zeroed, at an address that a compiled program reads where it stands: a multiple of 64.

    Such a block must not change before the program is done. Elsewhere it is copied, 0.1 to 0.6 ns a step.
    """
    size = ROWS * width * np.dtype(precision).itemsize
    memory = np.zeros(size + 64, np.uint8)
    first = -memory.ctypes.data % 64
    block: Floats = memory[first : first + size].view(precision).reshape(ROWS, width)
    return block


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


def on_threads(pool: Executor | None, task: Callable[[Tile], Result], cut: list[Tile]) -> list[Result]:
    """Run a task a tile, in the pool if there is one; compiled programs run beside each other, outside the GIL."""
    if pool is None or len(cut) == 1:
        return [task(tile) for tile in cut]
    return list(pool.map(task, cut))


class Spare:
    """Memory of answers that nobody reads any more, for the next ones to be written over.

    A fresh output is written twice, the first time with zeros, and may be pages that the kernel has to map: that
    is more than the filter itself costs.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: dict[tuple[tuple[int, ...], np.dtype[Any]], list[jax.Array]] = {}
        self._lock = Lock()

    def take(self, shape: tuple[int, ...], dtype: Any) -> jax.Array:  # noqa: ANN401  DTypeLike
        """Some array of that shape, whatever it holds; whoever takes it may donate it."""
        with self._lock:
            kept = self._kept.get((shape, np.dtype(dtype)))
            if kept:
                array = kept.pop()
                self._bytes -= array.nbytes
                return array
        return jnp.zeros(shape, dtype)

    def give(self, arrays: Iterable[jax.Array]) -> None:
        """Keep arrays that nobody needs, as far as there is room."""
        with self._lock:
            for array in arrays:
                if self._bytes + array.nbytes <= self._most_bytes:
                    self._bytes += array.nbytes
                    self._kept.setdefault((array.shape, array.dtype), []).append(array)


SPARE: Final = Spare(most_bytes=256 * 1024 * 1024)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """What a plan wrote, where the compiled program wrote it: nothing has been copied, and all of it is read-only.

    `parts[tile][chunk]` is `[rows, ..., lanes]`; tiles follow each other along the batch, chunks along time.
    """

    parts: tuple[tuple[Floats, ...], ...]
    memory: tuple[jax.Array, ...] = ()
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

        def place(tile: tuple[Floats, ...], start: int) -> None:
            row = 0
            for part in tile:
                turn(part, whole[start : start + part.shape[-1], row : row + len(part)])
                row += len(part)

        list((pool.map if pool else map)(place, self.parts, self.starts))
        return whole


def turn(time_major: Floats, series_major: Floats) -> None:
    """Copy `[time, ..., batch]` into `[batch, time, ...]`."""
    turned = np.moveaxis(time_major, -1, 0)
    for first in range(0, len(time_major), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        series_major[:, rows] = turned[:, rows]
