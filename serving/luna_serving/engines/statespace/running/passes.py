"""One batch of series through all its chunks: forward with the filter, backward with the smoother.

Outputs are collected series-major in NumPy, a row per observation. For the way back the filter's outputs of the last
chunks are at hand; those of earlier ones are computed anew from the carry before the chunk, so that memory stays
bounded.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Final

import jax
import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.process.deadline import Clock, check, never
from luna_serving.engines.statespace.recursions.filter import Carry, filter_chunk
from luna_serving.engines.statespace.recursions.recursion import System
from luna_serving.engines.statespace.recursions.smoother_chunk import NEEDED, Backward, smooth_chunk
from luna_serving.engines.statespace.recursions.smoother_diffuse import DiffuseAdjoint
from luna_serving.engines.statespace.recursions.square_root import filter_chunk_root
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.running.packing import (
    Group,
    Item,
    Lane,
    as_argument,
    lane,
    pack_carry,
    pack_chunk,
    pack_noise_root,
    pack_system,
    spans,
    unpack_chunk,
)

# Known a row further than the observations: the state after the last is predicted too.
ONE_MORE: Final = frozenset({"predicted_state", "predicted_state_cov", "predicted_root"})
# What the later observations say, for the disturbances only.
LATER: Final = frozenset({"score", "information"})
# 1.2 MB each with two states; 16 chunks are 4096 rows of time.
KEPT_CHUNKS: Final = 16


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Where the filter stood before a chunk, and what it answered if that is kept."""

    first: int
    length: int
    start: Carry
    filtered: dict[str, jax.Array] | None


@dataclass(slots=True)
class Passed:
    """A batch that the filter, and perhaps the smoother, has been through."""

    group: Group
    items: list[Item]
    lanes: list[Lane]
    system: System | None  # of simple models; others have one per chunk
    carry: Carry  # after the last observation of each series
    padded: int = 0  # rows of time, padding included
    outputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # [series, row, ...]
    chunks: list[_Chunk] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """Rows of time that mean something for some series."""
        return max(len(lane.rows.y) for lane in self.lanes)

    def system_of(self, first: int, length: int) -> System:
        """The matrices of a chunk."""
        if self.system is not None:
            return self.system
        return pack_system(self.lanes, self.group.kind, first, length, self.group.width)


def forward_pass(
    items: Sequence[Item],
    part: Group,
    starts: Sequence[Saved | None] | None,
    *,
    keep: bool = False,
    twins: Container[int] = (),
    out_of_time: Clock = never,
) -> Passed:
    """Filter the series of one group; `keep` what `backward_pass` needs. `twins` are places of items: see `prepare`."""
    own = [items[place] for place in part.places]
    root = part.kind.root
    lanes = [
        lane(*items[place], starts[place] if starts else None, root=root, twin=place in twins) for place in part.places
    ]
    system, carry = pack_carry(lanes, part.kind, part.width)
    passed = Passed(part, own, lanes, system, carry)
    plan = list(spans(passed.longest, part.kind.buckets(part.variant).lengths))
    for number, (first, length) in enumerate(plan):
        check(out_of_time)
        start = passed.carry
        passed.carry, outputs = _filter(passed, start, first, length)
        if keep:
            late = number >= len(plan) - KEPT_CHUNKS
            passed.chunks.append(_Chunk(first, length, start, needed(outputs) if late else None))
        _gather(passed, outputs, first)
        passed.padded = first + length
    return passed


def backward_pass(passed: Passed, *, later: bool = False, out_of_time: Clock = never) -> None:
    """Smooth what `forward_pass` kept; adds the smoother's outputs, r and N only if `later`."""
    back = no_later_observation(passed.group.kind.states, passed.group.width)
    while passed.chunks:
        check(out_of_time)
        chunk = passed.chunks.pop()
        filtered = chunk.filtered
        if filtered is None:
            _, outputs = _filter(passed, chunk.start, chunk.first, chunk.length)
            filtered = needed(outputs)
        y = pack_chunk(passed.lanes, chunk.first, chunk.length, passed.group.width)
        system = passed.system_of(chunk.first, chunk.length)
        back, smoothed = smooth_chunk(system, chunk.start, filtered, y, back)
        if not later:
            smoothed = {name: output for name, output in smoothed.items() if name not in LATER}
        _gather(passed, smoothed, chunk.first)


def no_later_observation(states: int, width: int) -> Backward:
    """What the smoother starts from after the last row."""
    vector, square = as_argument(np.zeros((states, width))), as_argument(np.zeros((states, states, width)))
    adjoint = DiffuseAdjoint(r1=vector, n1=square, n2=square)
    return Backward(r=vector, n=square, adjoint=adjoint)


def _filter(passed: Passed, start: Carry, first: int, length: int) -> tuple[Carry, dict[str, jax.Array]]:
    kind, width = passed.group.kind, passed.group.width
    chunk = pack_chunk(passed.lanes, first, length, width)
    system = passed.system_of(first, length)
    if kind.root:
        root = pack_noise_root(passed.lanes, kind, first, length, width)
        after, outputs = filter_chunk_root(system, root, start, chunk)
    else:
        after, outputs = filter_chunk(system, start, chunk, variant=passed.group.variant)
    return after, outputs


def needed(outputs: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What the smoother takes of the filter's `full` outputs."""
    return {name: outputs[name] for name in NEEDED}


def _gather(passed: Passed, outputs: dict[str, jax.Array], first: int) -> None:
    """Copy a chunk's outputs, time-major with the batch last, to series-major arrays of the whole length."""
    used = len(passed.lanes)
    for name, output in outputs.items():
        rows = passed.longest + 1 if name in ONE_MORE else passed.longest
        piece = np.asarray(output)[: rows - first, ..., :used]
        if name not in passed.outputs:
            passed.outputs[name] = np.empty((used, rows, *piece.shape[1:-1]), piece.dtype)
        unpack_chunk(piece, passed.outputs[name][:, first : first + len(piece)])
