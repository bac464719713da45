"""What a sum of components is made of: blocks of states, and how they are put together in one model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.initial import Blocks, Diffuse, Known

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Block:
    """States that depend on no other block's."""

    pointer: str
    """The field that decides how many states there are."""
    names: tuple[str, ...]
    transition: Floats
    """[k, k], or [T, k, k]"""
    design: Floats
    """[k], or [T, k]"""
    shocked: tuple[int, ...] = ()
    """The states that a shock of their own moves."""
    variances: tuple[float, ...] = ()
    """Of those shocks."""
    start: Diffuse | Known | Blocks = field(default_factory=Diffuse)
    scale: str = ""
    """The field that a known start's covariance is proportional to."""
    unknown: tuple[int, ...] = ()
    """The rows of `design` that are not known."""
    rest: tuple[Floats, ...] = ()
    """What rounding took from `transition` [k, k], and from that again."""
    strikes: NDArray[np.bool_] | None = None
    """The periods [T] in which the shocks strike; None: in all of them."""


def design(blocks: Sequence[Block]) -> Floats:
    """[1, n], or [T, 1, n] where one varies in time."""
    rows = np.broadcast_shapes(*(block.design.shape[:-1] for block in blocks))
    parts = [np.broadcast_to(block.design, (*rows, block.design.shape[-1])) for block in blocks]
    return np.concatenate(parts, axis=-1)[..., None, :]


def transition(blocks: Sequence[Block]) -> Floats:
    """[n, n], or [T, n, n] where one varies in time: each block on the diagonal."""
    states = sum(len(block.names) for block in blocks)
    rows = np.broadcast_shapes(*(block.transition.shape[:-2] for block in blocks))
    whole = np.zeros((*rows, states, states))
    first = 0
    for block in blocks:
        here = slice(first, first + len(block.names))
        whole[..., here, here] = block.transition
        first += len(block.names)
    return whole


def transition_rest(blocks: Sequence[Block]) -> tuple[Floats, ...]:
    """What rounding took from `transition`; empty where all of it is whole numbers or the caller's."""
    depth = max(len(block.rest) for block in blocks)
    return tuple(
        transition([replace(each, transition=_rest(each, number)) for each in blocks]) for number in range(depth)
    )


def _rest(block: Block, number: int) -> Floats:
    return block.rest[number] if block.rest else np.zeros(block.transition.shape[-2:])


def selection(blocks: Sequence[Block]) -> Floats:
    """[n, r]: a column per shock; one of zeros where there is none."""
    states, shocked = 0, []
    for block in blocks:
        shocked += [states + state for state in block.shocked]
        states += len(block.names)
    return np.eye(states)[:, shocked] if shocked else np.zeros((states, 1))


def state_cov(blocks: Sequence[Block]) -> Floats:
    """[r, r], or [T, r, r] where some strike now and then: the variances of all shocks."""
    variances = np.array([var for block in blocks for var in block.variances] or [0.0])
    strikes = [block.strikes for block in blocks for _ in block.variances]
    if all(each is None for each in strikes):
        return np.diag(variances)
    length = next(len(each) for each in strikes if each is not None)
    now = np.stack([np.ones(length) if each is None else each for each in strikes], axis=-1)
    whole: Floats = np.eye(len(variances)) * (now * variances)[:, None, :]
    return whole


def names(blocks: Sequence[Block]) -> tuple[str, ...]:
    """One name per state."""
    return tuple(name for block in blocks for name in block.names)


def unknown(blocks: Sequence[Block]) -> tuple[int, ...]:
    """The periods in which not all of the design is known."""
    return tuple(sorted({row for block in blocks for row in block.unknown}))
