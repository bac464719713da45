"""The mean recursion of many series that share their gains: 8 bytes of memory traffic a step in float32.

    a[t] = phi[t] a[t-1] + gain[t] y[t] + offset[t]

The gains do not depend on the data where model and missing pattern are shared (Durbin & Koopman 2012, eq. 4.24:
K and F are functions of the system matrices alone). They are computed once, in float64, elsewhere; in filtered form
phi[t] = (I - K[t] Z) T and gain[t] = K[t], in the letters of the book.
"""

import operator
from functools import partial, reduce
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float, Int

from luna_serving.engines.statespace.gpu.device import Layout, layout
from luna_serving.engines.statespace.gpu.lanes import (
    Block,
    Lanes,
    Ref,
    Time,
    by_lanes,
    end_of,
    entry,
    fit,
    over_time,
    sizes,
    unwritten,
    whole,
)
from luna_serving.engines.statespace.gpu.unrolled import Vector, dot

# Rows in flight, by the number of states: what fits a thread's 255 registers with their gains.
ROWS_AHEAD: Final = {1: 8, 2: 8, 3: 4, 4: 4}


class Means(NamedTuple):
    """What `filter_means` answers."""

    filtered: Float[Array, "time state batch"] | Float[Array, "time batch"]
    """a[t], or design · a[t]. Rows from `length` on were never written and hold anything."""
    last: Float[Array, "state batch"]
    """a[length - 1]: the start of the rows that follow."""


@partial(jax.jit, static_argnames="interpret")
def filter_means(
    phi: Float[Array, "time state state"],
    gain: Float[Array, "time state"],
    offset: Float[Array, "time state"],
    y: Float[Array, "time batch"],
    start: Float[Array, "state batch"],
    signal: Float[Array, " state"] | None = None,
    *,
    length: Int[Array, ""] | None = None,
    interpret: bool = False,
) -> Means:
    """Run the recursion over y, all in the number format of y.

    Args:
        phi: what the mean before is multiplied with.
        gain: what the observation is multiplied with; a row of zeros where it is missing, and y is then not looked at.
        offset: what the intercepts add.
        y: the observations, any batch and any time. NaN where the gain is not zero makes its own series NaN.
        start: a[-1].
        signal: a design: answer design · a[t], one number per step, instead of the state.
        length: rows of y that count, an int32; all where None. One compiled program serves every length.
        interpret: run on a CPU, slowly, for tests.

    Raises:
        ValueError: shapes or number formats do not go together.
    """
    rows_of_time, states, batch = sizes(y, start)
    fit("phi", phi, (rows_of_time, states, states), y.dtype)
    fit("gain", gain, (rows_of_time, states), y.dtype)
    fit("offset", offset, (rows_of_time, states), y.dtype)
    fit("start", start, (states, batch), y.dtype)
    if signal is not None:
        fit("signal", signal, (states,), y.dtype)
    plan = layout(batch, shared=True)
    shape = (rows_of_time, batch) if signal is not None else (rows_of_time, states, batch)
    answers = (unwritten(shape, y.dtype), unwritten(start.shape, y.dtype))
    shared = [end_of(length, rows_of_time), phi, gain, offset] + ([] if signal is None else [signal])
    each = [y, start]
    kernel = partial(_kernel, batch=batch, states=states, plan=plan, signal=signal is not None)
    filtered, last = pl.pallas_call(
        kernel,
        out_shape=answers,
        grid=(pl.cdiv(batch, plan.lanes),),
        in_specs=[*map(whole, shared), *(by_lanes(array, plan) for array in each)],
        out_specs=tuple(by_lanes(answer, plan) for answer in answers),
        # No stages: Triton's pipeline is for loads that feed matrix products.
        compiler_params=plgpu.CompilerParams(num_warps=plan.warps, num_stages=1),
        interpret=interpret,
        name="shared_gain",
    )(*shared, *each)
    return Means(filtered, last)


def _kernel(*refs: Ref, batch: int, states: int, plan: Layout, signal: bool) -> None:
    end, phi, gain, offset, *design, y, start, filtered, last = refs
    lanes = Block.of(batch, plan)
    each = range(states)
    z = tuple(entry(design[0], i) for i in each) if signal else ()

    def load(t: Time, when: Array | None) -> Lanes:
        return lanes.load(y, t, when=when)

    def step(t: Time, now: Lanes, mean: Vector) -> tuple[Vector, Vector]:
        k = [entry(gain, t, i) for i in each]
        used = reduce(operator.or_, [weight != 0 for weight in k])
        seen = jnp.where(used, now, jnp.zeros_like(now))
        moved = []
        for i in each:
            # What does not wait for the mean comes first: the chain from step to step is n products long.
            total = entry(offset, t, i) + k[i] * seen
            for j in each:
                total = total + entry(phi, t, i, j) * mean[j]
            moved.append(total)
        filtered_mean = tuple(moved)
        return filtered_mean, (dot(z, filtered_mean),) if signal else filtered_mean

    def store(t: Time, answer: Vector) -> None:
        if signal:
            lanes.store(filtered, answer[0], t)
            return
        for i in each:
            lanes.store(filtered, answer[i], t, i)

    first: Vector = tuple(lanes.load(start, i) for i in each)
    mean = over_time(entry(end, 0), ROWS_AHEAD[states], load, step, store, first)
    for i in each:
        lanes.store(last, mean[i], i)
