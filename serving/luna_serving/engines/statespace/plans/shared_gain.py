"""Filtered means of many series that share a model and a missing pattern: gains once, then only the means.

One step costs n(n + 2) multiplications per series and no covariance. Up to `COMPILED_STATES` states of one observed
element run in a compiled loop over time; more run as one matrix product per period, which needs no compiling.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from luna_serving.engines.statespace.plans.memory import STAGES, Floats, Place, Precision, fresh
from luna_serving.engines.statespace.plans.recurrence import Recurrence
from luna_serving.engines.statespace.plans.slabs import Advance, by_slabs
from luna_serving.engines.statespace.plans.tiles import ROWS, WIDTHS, Tile
from luna_serving.engines.statespace.process.jax_process import require_float64

COMPILED_STATES: Final = (1, 2, 3, 4)
PRECISIONS: Final[tuple[Precision, ...]] = (np.float64, np.float32)


class Table(NamedTuple):
    """Φ, K and b side by side, as the compiled program reads them."""

    length: int
    rows: Floats  # [time, state, state + 2]; beyond `length` they mean nothing

    def block(self, first: int) -> Floats:
        """The rows from one on."""
        return self.rows[first : first + ROWS]


def shared_gain_filter(
    gains: Recurrence,
    y: Floats,
    start: Floats,
    *,
    precision: Precision = np.float64,
    pool: Executor | None = None,
    threads: int = 1,
) -> Floats:
    """Filtered means `[batch, time, state]`.

    Args:
        gains: computed in float64 and, for float32, rounded to it once.
        y: `[batch, time]`, or `[batch, time, obs]`; NaN is read as zero, and its gain must be zero.
        start: predicted means of the first period `[state, batch]`.
        precision: of data and means. In float32 the means stay within 2e-4 of the posterior standard deviation
            of a trend of four states with variances from 1 to 1e-6, as long as the level itself is below 1e3
            standard deviations: its last digit is 6e-8 of it.
        pool: where the tiles run; None is here.
        threads: that the batch should be spread over, the caller's included.
    """
    if gains.states not in COMPILED_STATES or gains.observed != 1:
        return _by_products(gains, y.reshape(*y.shape[:2], -1), start, precision)
    require_float64()
    with _table(gains, precision) as table:

        def begin(tile: Tile) -> Advance:
            carry: Floats | Array = _starts(start, tile, precision)

            def advance(first: int, rows: int, data: Floats, memory: Array) -> Array:
                nonlocal carry
                means: Array
                carry, means = means_chunk(np.int32(rows), table.block(first), data, carry, memory)
                return means

            return advance

        data = y.reshape(y.shape[:2])
        return by_slabs(data, begin, states=gains.states, lead=1, precision=precision, pool=pool, threads=threads)


def _starts(start: Floats, tile: Tile, precision: Precision) -> Floats:
    mean = np.zeros((len(start), tile.width), precision)
    mean[:, : tile.used] = start[:, tile.first : tile.first + tile.used]
    return mean


@partial(jax.jit, donate_argnames="memory")
def means_chunk(
    end: Int[np.int32, ""],
    coefficients: Float[np.ndarray, "time state column"],
    y: Float[np.ndarray, "time batch"],
    start: Float[np.ndarray, "state batch"],
    memory: Float[Array, "time+1 state batch"],
) -> tuple[Float[Array, "state batch"], Float[Array, "time+1 state batch"]]:
    """The first `end` rows of one block: the last means, and all of them below the start; later rows hold anything.

    The columns of `coefficients` are those of Φ, then K, then b. `memory` is what is written over.
    """
    states = start.shape[0]

    def step(run: tuple[Array, Array]) -> tuple[Array, Array]:
        t, written = run
        row = coefficients[t]
        seen = jnp.where(jnp.isnan(y[t]), jnp.zeros_like(y[t]), y[t])
        # Read where it was written: a mean of its own in the loop costs a sixth more.
        mean = lax.dynamic_index_in_dim(written, t, 0, keepdims=False)
        # The offset first: added last, it costs XLA's CPU backend the vectorised loop (0.8 to 3.1 ns a step). All
        # states as one array: one loop over it; a loop per state and a stack cost a fifth more.
        total = row[:, states + 1][:, None] + row[:, states][:, None] * seen[None]
        for k in range(states):
            total = total + row[:, k][:, None] * mean[k][None]
        return t + 1, lax.dynamic_update_index_in_dim(written, total, t + 1, 0)

    before = lax.dynamic_update_index_in_dim(memory, start, 0, 0)
    _, written = lax.while_loop(lambda run: run[0] < end, step, (jnp.zeros_like(end), before))
    return lax.dynamic_index_in_dim(written, end, 0, keepdims=False), written


def warm_up(most: int = COMPILED_STATES[-1]) -> int:
    """Compile every shape that `shared_gain_filter` can ask for, of `most` states; return how many there are."""
    require_float64()
    count = 0
    for states in (n for n in COMPILED_STATES if n <= most):
        for dtype in PRECISIONS:
            for width in WIDTHS:
                coefficients: Floats = np.zeros((ROWS, states, states + 2), dtype)
                data: Floats = np.zeros((ROWS, width), dtype)
                memory = fresh((ROWS + 1, states, width), dtype)
                carry, memory = means_chunk(np.int32(1), coefficients, data, np.zeros((states, width), dtype), memory)
                # Again from means that JAX made, as a long series' later blocks are.
                carry, memory = means_chunk(np.int32(1), coefficients, data, carry, memory)
                carry.block_until_ready()
                count += 1
    return count


def _rows(length: int) -> int:
    """The rows of a table: `ROWS` from each row that a slab begins with."""
    return (-(-length // ROWS) + 1) * ROWS


@contextmanager
def _table(gains: Recurrence, precision: Precision) -> Iterator[Table]:
    """A table in memory that is used again: of its own it would be a hundred pages that the kernel has to map."""
    rows = STAGES.take((_rows(gains.length), gains.states, gains.states + 2), precision)
    yield _filled(rows, gains)
    STAGES.give([Place(0, rows)])


def _filled(rows: Floats, gains: Recurrence) -> Table:
    rows[: gains.length, :, :-2] = gains.phi
    rows[: gains.length, :, -2] = gains.gain[:, :, 0]
    rows[: gains.length, :, -1] = gains.offset
    return Table(gains.length, rows)


def _by_products(gains: Recurrence, y: Floats, start: Floats, dtype: Precision) -> Floats:
    """One matrix product of [Φ K] with the means above the observations, a period."""
    n, m, batch = gains.states, gains.observed, len(y)
    both = np.concatenate([gains.phi, gains.gain], axis=2).astype(dtype)
    offset = gains.offset.astype(dtype)[:, :, None]
    data = np.where(np.isnan(y), 0.0, y).transpose(1, 2, 0).astype(dtype)
    stacked = np.empty((n + m, batch), dtype)
    stacked[:n] = start
    means = np.empty((batch, gains.length, n))
    shifted = bool(offset.any())
    for t in range(gains.length):
        stacked[n:] = data[t]
        latest = both[t] @ stacked
        if shifted:
            latest += offset[t]
        stacked[:n] = latest
        means[:, t] = latest.T
    return means
