"""Filtered means of series that each have their own gaps or their own model, one observed element each.

Every series carries its covariance, symmetric and packed, and nothing but means is written. From one prediction to
the next, with K[t] = M[t] / F[t] and in the letters of Durbin & Koopman (2012, section 4.3),

    P[t+1] = L P L' + H (T K) (T K)' + Q,    L = T - (T K) Z

is Joseph's form with the transition multiplied in: each term is positive semi-definite whatever K's rounding, and
no term is the difference of two large ones. With disturbances 1e12 times obs_var the filtered means are within
1e-12 of exact fractions. After a prior 1e12 times obs_var that the data then collapse, 5 to 6 digits are left, as
with the two products of the textbook: that is the covariance's loss, not the formula's. Tests say so.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from luna_serving.engines.statespace.plans.memory import Floats, fresh
from luna_serving.engines.statespace.plans.slabs import Advance, by_slabs
from luna_serving.engines.statespace.plans.tiles import ROWS, WIDTHS
from luna_serving.engines.statespace.plans.tiles import Tile as _Tile
from luna_serving.engines.statespace.process.jax_process import require_float64
from luna_serving.engines.statespace.recursions.recursion import ROUNDING

COMPILED_STATES: Final = (1, 2, 3, 4)
# NumPy's outside of the compiled program, JAX's inside.
Values = Any


class ModelArrays(NamedTuple):
    """The models of a batch that do not vary in time, one series a lane; everything float64."""

    transition: Values  # T [state, state, batch]
    design: Values  # Z [state, batch]
    obs_var: Values  # H [batch]
    state_cov: Values  # R Q R' [state, state, batch]
    state_intercept: Values  # c [state, batch]
    obs_intercept: Values  # d [batch]


class Moments(NamedTuple):
    """Predicted moments of each series' next period, and so the series' state after the last one."""

    mean: Floats  # [state, batch]
    cov: Floats  # [state, state, batch]


Carry = tuple[Values, Values]  # mean [state, batch], covariance [pair, batch]


def per_series_filter(
    lanes: ModelArrays, y: Floats, start: Moments, *, pool: Executor | None = None, threads: int = 1
) -> tuple[Floats, Moments]:
    """Filtered means `[batch, time, state]` and the predicted moments of the period after the last.

    Args:
        lanes: of 1 to 4 states.
        y: `[batch, time]`; NaN where missing.
        start: predicted moments of the first period. An exact diffuse start has none: the engine's filter runs
            the diffuse periods first.
        pool: where the tiles run; None is here.
        threads: that the batch should be spread over, the caller's included.
    """
    states = _supported(start)
    after: dict[int, tuple[_Tile, Carry]] = {}

    def begin(tile: _Tile) -> Advance:
        params, carry = pack(lanes, start, tile)
        # Lanes without a series hold what an earlier batch left there; they do not affect the others.
        after[tile.first] = tile, carry

        def advance(_first: int, rows: int, data: Floats, memory: Array) -> Array:
            nonlocal carry
            means: Array
            carry, means = filter_chunk(np.int32(rows), params, data, carry, memory)
            after[tile.first] = tile, carry
            return means

        return advance

    means = by_slabs(y, begin, states=states, lead=0, pool=pool, threads=threads)
    return means, _moments([after[first] for first in sorted(after)], states)


def _supported(start: Moments) -> int:
    require_float64()
    states = len(start.mean)
    if states not in COMPILED_STATES:
        raise ValueError(f"per_series is compiled for {COMPILED_STATES} states; got {states}")
    return states


def _moments(carries: Sequence[tuple[_Tile, Carry]], states: int) -> Moments:
    """The moments of all tiles, side by side."""
    means, covs = ([np.asarray(carry[part])[..., : tile.used] for tile, carry in carries] for part in (0, 1))
    return Moments(np.concatenate(means, axis=-1), unpacked(np.concatenate(covs, axis=-1), states))


def pack(lanes: ModelArrays, start: Moments, tile: _Tile) -> tuple[ModelArrays, Carry]:
    """One tile's models and start; lanes without a series repeat its first."""
    places = np.full(tile.width, tile.first)
    places[: tile.used] = np.arange(tile.first, tile.first + tile.used)
    here = ModelArrays(*(np.ascontiguousarray(part[..., places]) for part in lanes))
    rows, columns = np.tril_indices(start.mean.shape[0])
    cov = start.cov[rows, columns]
    return here._replace(state_cov=here.state_cov[rows, columns]), (start.mean[:, places], cov[:, places])


def unpacked(cov: Floats, states: int) -> Floats:
    """The whole matrices `[state, state, batch]` of packed ones `[pair, batch]`."""
    rows, columns = np.tril_indices(states)
    whole = np.empty((states, states, cov.shape[-1]))
    whole[rows, columns] = cov
    whole[columns, rows] = cov
    return whole


@partial(jax.jit, donate_argnames="memory")
def filter_chunk(
    end: Int[np.int32, ""],
    lanes: ModelArrays,
    y: Float[np.ndarray, "time batch"],
    start: Carry,
    memory: Float[Array, "time state batch"],
) -> tuple[tuple[Array, Array], Float[Array, "time state batch"]]:
    """The first `end` rows of one block: the moments after them, packed, and all filtered means.

    `memory` is what the means are written over; rows from `end` on hold anything.
    """

    def step(run: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        t, mean, cov, written = run
        gain, filtered = _corrected(lanes, y[t], mean, cov)
        placed = lax.dynamic_update_index_in_dim(written, filtered, t, 0)
        return t + 1, _moved(lanes, filtered), _propagated(lanes, gain, cov), placed

    begin = (jnp.zeros_like(end), start[0], start[1], memory)
    _, mean, cov, written = lax.while_loop(lambda run: run[0] < end, step, begin)
    return (mean, cov), written


def _corrected(lanes: ModelArrays, y: Array, mean: Array, cov: Array) -> tuple[Array, Array]:
    """K and a + K v."""
    states = len(mean)
    seen = ~jnp.isnan(y)

    def correction() -> Array:
        z = lanes.design
        m = [_dot([_entry(cov, i, k) for k in range(states)], z) for i in range(states)]
        signal = _dot(z, m)
        size = [_dot([jnp.abs(_entry(cov, i, k)) for k in range(states)], jnp.abs(z)) for i in range(states)]
        var = signal + lanes.obs_var
        # As in the engine: F = 0 up to rounding carries no information; NaN from overflow must come out as NaN.
        informative = seen & ~(var <= ROUNDING * _dot(jnp.abs(z), size))
        error = jnp.where(seen, y - lanes.obs_intercept - _dot(z, mean), 0.0)
        gain = [jnp.where(informative, each / var, 0.0) for each in m]
        return jnp.stack([*gain, *(a + k * error for a, k in zip(mean, gain, strict=True))])

    # A conditional keeps XLA's CPU backend from computing the gain again for every entry of the next covariance:
    # 25 to 8 ns a step with two states.
    both = lax.cond(jnp.any(seen), correction, lambda: jnp.concatenate([jnp.zeros_like(mean), mean]))
    return both[:states], both[states:]


def _moved(lanes: ModelArrays, filtered: Array) -> Array:
    """T a + c."""
    rows = [c + _dot(row, filtered) for row, c in zip(lanes.transition, lanes.state_intercept, strict=True)]
    return jnp.stack(rows)


def _propagated(lanes: ModelArrays, gain: Array, cov: Array) -> Array:
    """The next covariance, packed."""
    every = range(len(gain))
    moved = [_dot(row, gain) for row in lanes.transition]
    left = [[lanes.transition[i, j] - moved[i] * lanes.design[j] for j in every] for i in every]
    half = [[_dot(left[i], [_entry(cov, k, j) for k in every]) for j in every] for i in every]
    noise = lanes.obs_var
    pairs = ((i, j) for i in every for j in range(i + 1))
    return jnp.stack(
        [
            _dot(half[i], left[j]) + moved[i] * moved[j] * noise + q
            for (i, j), q in zip(pairs, lanes.state_cov, strict=True)
        ]
    )


def _entry(packed: Array, i: int, j: int) -> Array:
    return packed[i * (i + 1) // 2 + j] if i >= j else packed[j * (j + 1) // 2 + i]


def _dot(left: Values, right: Values) -> Array:
    total: Array = left[0] * right[0]
    for k in range(1, len(left)):
        total = total + left[k] * right[k]
    return total


def warm_up(most: int = COMPILED_STATES[-1]) -> int:
    """Compile every shape that `per_series_filter` can ask for, of `most` states; return how many there are."""
    require_float64()
    compiled = [n for n in COMPILED_STATES if n <= most]
    for states in compiled:
        for width in WIDTHS:
            square, vector, one = np.zeros((states, states, 1)), np.zeros((states, 1)), np.ones(1)
            lanes = ModelArrays(square, vector, one, square, vector, one)
            params, start = pack(lanes, Moments(vector, square), _Tile(0, 1, width))
            data = np.zeros((ROWS, width))
            memory = fresh((ROWS, states, width), np.float64)
            carry, memory = filter_chunk(np.int32(1), params, data, start, memory)
            # Again from moments that JAX made, as a long series' later blocks are.
            filter_chunk(np.int32(1), params, data, carry, memory)[1].block_until_ready()
    return len(compiled) * len(WIDTHS)
