"""Series-major arrays through programs that are time-major, some periods of a tile at a time.

Such a slab of data and means stays in the second cache: it is turned, filtered and turned back there, and memory is
read and written once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final

import jax
import numpy as np

from luna_serving.engines.statespace.plans.memory import SPARE, STAGES, Floats, Place, Precision
from luna_serving.engines.statespace.plans.threads import on_threads
from luna_serving.engines.statespace.plans.tiles import ROWS, Tile, tiles

# Lanes times periods: 1.5 MB of two states and their data in float64. A call into a program costs 20 us.
SLAB: Final = 520 * 128
# Rows of every table then begin at a multiple of 64 bytes, in either number format.
STEP: Final = 16

Advance = Callable[[int, int, Floats, jax.Array], jax.Array]
"""Filter some rows: the first one's period, how many, their data `[row, lane]`, and where to write the means."""


def by_slabs(
    y: Floats,
    begin: Callable[[Tile], Advance],
    *,
    states: int,
    lead: int,
    precision: Precision = np.float64,
    pool: Executor | None = None,
    threads: int = 1,
) -> Floats:
    """Means `[batch, time, state]` in float64 of data `[batch, time]`.

    Args:
        y: of at least one series and one period.
        begin: called once per tile, on the thread that runs it; slabs follow each other in time. Lanes beyond the
            tile's series hold anything.
        states: of the models.
        lead: rows of the program's output before the means.
        precision: of the program's data and means.
        pool: where tiles run; None is here.
        threads: to spread the batch over.
    """
    batch, length = y.shape
    means = np.empty((batch, length, states))

    def run(tile: Tile) -> None:
        own = slice(tile.first, tile.first + tile.used)
        advance = begin(tile)
        data = STAGES.take((ROWS, tile.width), precision, tile.first)
        written = SPARE.take((ROWS + lead, states, tile.width), precision, tile.first)
        most = min(ROWS, SLAB // tile.width // STEP * STEP)
        for first in range(0, length, most):
            rows = min(most, length - first)
            data[:rows, : tile.used] = y[own, first : first + rows].T
            # The program reads `data` in place: it must end before the next rows are written there.
            written = advance(first, rows, data, written).block_until_ready()
            means[own, first : first + rows] = np.moveaxis(
                np.asarray(written)[lead : lead + rows, :, : tile.used], -1, 0
            )
        STAGES.give([Place(tile.first, data)])
        SPARE.give([Place(tile.first, written)])

    on_threads(pool, run, tiles(batch, threads=threads), threads)
    return means


def rectangle(series: Sequence[Floats]) -> Floats:
    """Series `[time, ...]` of several lengths as one array `[batch, time, ...]`, NaN after their ends."""
    longest = max(map(len, series))
    whole = np.empty((len(series), longest, *series[0].shape[1:]))
    if all(len(y) == longest for y in series):
        np.concatenate(series, out=whole.reshape(-1, *series[0].shape[1:]))
        return whole
    for place, y in enumerate(series):
        whole[place, : len(y)] = y
        whole[place, len(y) :] = np.nan
    return whole
