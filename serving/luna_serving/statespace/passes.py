"""One batch of series through all its chunks: forward with the filter, backward with the smoother.

Outputs are collected series-major in NumPy. For the way back the filter's outputs of the last chunks are at
hand; those of earlier ones are computed anew from the carry before the chunk, so that memory stays bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import jax
import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.filter import Carry, Variant, filter_chunk
from luna_serving.statespace.models import Model
from luna_serving.statespace.packing import (
    BUCKETS,
    Group,
    Item,
    Series,
    as_argument,
    pack_chunk,
    pack_models,
    spans,
    unpack_chunk,
)
from luna_serving.statespace.recursion import Params
from luna_serving.statespace.smoother import NEEDED, Backward, smooth_chunk
from luna_serving.statespace.smoother_diffuse import Faint

# Known a step further than the observations: state[T+1] is predicted too.
ONE_MORE: Final = frozenset({"predicted_state", "predicted_state_cov"})
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

    series: list[Series]
    models: list[Model]
    width: int
    params: Params
    carry: Carry  # after the last observation of each series
    padded: int = 0  # rows of time, padding included
    lanes: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # [series, time, ...]
    chunks: list[_Chunk] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """Rows of time that mean something for some series."""
        return max(map(len, self.series))


def forward_pass(items: Sequence[Item], part: Group, variant: Variant, *, keep: bool = False) -> Passed:
    """Filter the series of one group; `keep` what `backward_pass` needs."""
    series = [items[place][0] for place in part.places]
    models = [items[place][1] for place in part.places]
    params, carry = pack_models(models, [len(y) for y in series], part.width)
    passed = Passed(series, models, part.width, params, carry)
    plan = list(spans(passed.longest, BUCKETS[variant].lengths))
    for number, (first, length) in enumerate(plan):
        start = passed.carry
        passed.carry, outputs = _filter(passed, start, first, length, variant)
        if keep:
            late = number >= len(plan) - KEPT_CHUNKS
            passed.chunks.append(_Chunk(first, length, start, needed(outputs) if late else None))
        _gather(passed, outputs, first)
        passed.padded = first + length
    return passed


def backward_pass(passed: Passed) -> None:
    """Smooth what `forward_pass` kept; adds the smoother's outputs to `lanes`."""
    back = no_later_observation(passed.models[0].states, passed.width)
    while passed.chunks:
        chunk = passed.chunks.pop()
        filtered = chunk.filtered
        if filtered is None:
            _, outputs = _filter(passed, chunk.start, chunk.first, chunk.length, "full")
            filtered = needed(outputs)
        y = pack_chunk(passed.series, chunk.first, chunk.length, passed.width)
        back, smoothed = smooth_chunk(passed.params, chunk.start, filtered, y, back)
        _gather(passed, smoothed, chunk.first)


def no_later_observation(states: int, width: int) -> Backward:
    """What the smoother starts from after the last row."""
    vector, square = as_argument(np.zeros((states, width))), as_argument(np.zeros((states, states, width)))
    return Backward(r=vector, n=square, faint=Faint(r1=vector, n1=square, n2=square), cov=square)


def _filter(
    passed: Passed, start: Carry, first: int, length: int, variant: Variant
) -> tuple[Carry, dict[str, jax.Array]]:
    chunk = pack_chunk(passed.series, first, length, passed.width)
    after, outputs = filter_chunk(passed.params, start, chunk, variant=variant)
    return after, outputs


def needed(outputs: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """What the smoother takes of the filter's `full` outputs."""
    return {name: outputs[name] for name in NEEDED}


def _gather(passed: Passed, outputs: dict[str, jax.Array], first: int) -> None:
    """Copy a chunk's outputs, time-major with the batch last, to series-major arrays of the whole length."""
    used = len(passed.series)
    for name, output in outputs.items():
        rows = passed.longest + 1 if name in ONE_MORE else passed.longest
        piece = np.asarray(output)[: rows - first, ..., :used]
        if name not in passed.lanes:
            passed.lanes[name] = np.empty((used, rows, *piece.shape[1:-1]), piece.dtype)
        unpack_chunk(piece, passed.lanes[name][:, first : first + len(piece)])
