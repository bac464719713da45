"""Rows of time as vectors over a program's lanes: reading, writing, and the loop over time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import DTypeLike

from luna_serving.engines.statespace.gpu.device import MAX_STATES, Layout

State = TypeVar("State")
Time = Int[Array, ""]
Lanes = Float[Array, " lanes"]
Scalar = Float[Array, ""]
# A block of an array in the GPU's memory, which a kernel reads and writes. JAX exports no type for it.
Ref = Any


@dataclass(frozen=True, slots=True)
class Block:
    """One program's lanes of arrays whose last axis is the batch."""

    lanes: int
    inside: Bool[Array, " lanes"] | None
    """Lanes that are series; None where all are. Triton checks no bounds."""

    @classmethod
    def of(cls, batch: int, layout: Layout) -> "Block":
        """The lanes of the program that runs this."""
        if batch % layout.lanes == 0:
            return cls(layout.lanes, None)
        first = pl.program_id(0) * layout.lanes
        return cls(layout.lanes, first + jnp.arange(layout.lanes, dtype=jnp.int32) < batch)

    def load(self, ref: Ref, *place: Time | int, when: Bool[Array, ""] | None = None, other: float = 0.0) -> Lanes:
        """Read ref[place, lanes]; `other` outside the batch, and everywhere unless `when`."""
        mask = self.inside if when is None else self._within(when)
        row: Lanes = plgpu.load(self._row(ref, place), mask=mask, other=None if mask is None else other)
        return row

    def store(self, ref: Ref, value: Lanes, *place: Time | int) -> None:
        """Write ref[place, lanes] = value, inside the batch."""
        plgpu.store(self._row(ref, place), value, mask=self.inside)

    def _within(self, when: Bool[Array, ""]) -> Bool[Array, " lanes"]:
        everywhere = jnp.broadcast_to(when, (self.lanes,))
        return everywhere if self.inside is None else everywhere & self.inside

    def _row(self, ref: Ref, place: tuple[Time | int, ...]) -> Ref:
        # A start that is an int32 array: interpret mode refuses indices of two widths, and an int would be an int64.
        return ref.at[(*map(jnp.int32, place), pl.ds(jnp.int32(0), self.lanes))]


def entry(ref: Ref, *place: Time | int) -> Scalar:
    """Read one number, the same for every lane."""
    number: Scalar = ref[tuple(map(jnp.int32, place))]
    return number


def over_time(
    length: Time,
    rows: int,
    load: Callable[[Time, Bool[Array, ""] | None], Lanes],
    step: Callable[[Time, Lanes, State], tuple[State, Any]],
    store: Callable[[Time, Any], None],
    state: State,
) -> State:
    """Step through times 0 to length - 1, `rows` of them at a time, and return the last state.

    A load from the GPU's memory takes hundreds of nanoseconds, a step of shared gains some ten: a block's observations
    are loaded while the block before is computed, and its answers are stored together at its end, so that no load has
    to wait for a store that might, for all the compiler knows, write to the same place.
    """
    blocks = length // rows

    def block(number: Time, carry: tuple[State, tuple[Lanes, ...]]) -> tuple[State, tuple[Lanes, ...]]:
        state, now = carry
        first = number * rows
        times = [first + row for row in range(rows)]
        following = tuple(load(t + rows, t + rows < length) for t in times)
        answers = []
        for t, y in zip(times, now, strict=True):
            state, answer = step(t, y, state)
            answers.append(answer)
        for t, answer in zip(times, answers, strict=True):
            store(t, answer)
        return state, following

    def single(t: Time, state: State) -> State:
        state, answer = step(t, load(t, None), state)
        store(t, answer)
        return state

    first_rows = tuple(load(jnp.int32(row), jnp.int32(row) < length) for row in range(rows))
    state, _ = lax.fori_loop(jnp.int32(0), blocks, block, (state, first_rows))
    ended: State = lax.fori_loop(blocks * rows, length, single, state)
    return ended


def fit(name: str, array: Array, shape: tuple[int, ...], dtype: DTypeLike) -> None:
    """Refuse an array of another shape or number format: the kernel would read past its end without a word."""
    if array.shape != shape or array.dtype != dtype:
        wanted = f"{np.dtype(dtype)}{list(shape)}"
        raise ValueError(f"{name} must be {wanted} beside the other arrays; got {array.dtype}{list(array.shape)}")


def sizes(y: Array, start: Array) -> tuple[int, int, int]:
    """Rows of time, states and series of a batch that a kernel can run."""
    rows, batch = y.shape
    states = len(start)
    if rows == 0 or batch == 0 or not 1 <= states <= MAX_STATES:
        raise ValueError(
            f"a kernel runs at least one row of at least one series of 1 to {MAX_STATES} states; "
            f"got {rows} rows, {batch} series, {states} states: ask device.supported first"
        )
    return rows, states, batch


def end_of(length: Int[Array, ""] | None, rows: int) -> Int[Array, " 1"]:
    """Rows to run as a kernel takes it; never past the arrays."""
    wanted = jnp.int32(rows) if length is None else length.astype(jnp.int32)
    return jnp.clip(wanted, 0, rows).reshape(1)


def whole(array: Array) -> pl.BlockSpec:
    """All of an array for every program."""
    return pl.BlockSpec(array.shape, partial(_corner, array.ndim))


def unwritten(shape: tuple[int, ...], dtype: jnp.dtype) -> jax.ShapeDtypeStruct:
    """An array that a kernel is to write."""
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]  # JAX types it nowhere


def by_lanes(array: Array | jax.ShapeDtypeStruct, layout: Layout) -> pl.BlockSpec:
    """A program's lanes of an array whose last axis is the batch."""
    return pl.BlockSpec((*array.shape[:-1], layout.lanes), partial(_own_lanes, array.ndim))


def _corner(rank: int, _program: Int[Array, ""]) -> tuple[int, ...]:
    return (0,) * rank


def _own_lanes(rank: int, program: Int[Array, ""]) -> tuple[Int[Array, ""] | int, ...]:
    return (*(0,) * (rank - 1), program)
