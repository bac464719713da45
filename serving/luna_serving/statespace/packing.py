"""From a list of series and models to padded arrays of a few known shapes, and back. Pure NumPy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, cast

import numpy as np
from jax import Array
from numpy.typing import NDArray

from luna_serving.statespace.checks import ModelError
from luna_serving.statespace.filter import Carry, Variant
from luna_serving.statespace.models import Model
from luna_serving.statespace.recursion import Params

Series = NDArray[np.float64]
Item = tuple[Series, Model]


class Buckets(NamedTuple):
    """The padded sizes that one variant of the filter is compiled for, ascending."""

    lengths: tuple[int, ...]  # rows of time in a chunk; the empty end of a chunk is not computed
    widths: tuple[int, ...]  # series in a batch


# Every new shape would be a fresh XLA compile on a live replica, so these are all there are.
# 256 rows hold a typical request; 2048 cut a long series into few calls. 32 series cost almost what one costs
# (the loop's overhead), so nothing narrower is worth a compile; 256 halve that overhead again.
# `full` computes so much beside the loop that larger buckets would gain 0 to 30 %; they took half of the
# warm-up to compile.
BUCKETS: Final[Mapping[Variant, Buckets]] = MappingProxyType(
    {"means": Buckets((256, 2048), (32, 256)), "full": Buckets((256,), (32,))}
)
STATE_COUNTS: Final = (1, 2)
# 64 rows of 256 float64 are 128 KiB: a block that turning it over keeps in the second-level cache.
ROWS_AT_A_TIME: Final = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Series that run in one batch: their places in the request, in order of the batch's lanes."""

    states: int
    width: int
    places: tuple[int, ...]


def group(items: Sequence[Item], widths: Sequence[int]) -> Iterator[Group]:
    """Split a request into batches: by number of states, then by length, so that few lanes wait for one."""
    widest = widths[-1]
    for states in sorted({model.states for _, model in items}):
        if states not in STATE_COUNTS:
            known = " or ".join(map(str, STATE_COUNTS))
            raise ModelError("/design", f"must name {known} states; got {states}")
        places = [place for place, (_, model) in enumerate(items) if model.states == states]
        if len(places) > widest:
            places.sort(key=lambda place: len(items[place][0]))
        for first in range(0, len(places), widest):
            part = tuple(places[first : first + widest])
            yield Group(states, bucket(widths, len(part)), part)


def bucket(sizes: Sequence[int], needed: int) -> int:
    """Return the smallest bucket that holds `needed`, or the largest."""
    return next((size for size in sizes if size >= needed), sizes[-1])


def spans(longest: int, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a time axis into (first row, chunk length); at least one, so that an empty series has a start."""
    first = 0
    while True:
        length = bucket(lengths, longest - first)
        yield first, length
        first += length
        if first >= longest:
            return


def pack_models(models: Sequence[Model], lengths: Sequence[int], width: int) -> tuple[Params, Carry]:
    """Lay the models' rows side by side; lanes without a series repeat the first and are already over."""
    n = models[0].states
    used = len(models)
    slab = np.empty((models[0].packed.size, width))
    slab[:, :used] = np.array([model.packed for model in models]).T
    slab[:, used:] = slab[:, :1]
    sizes = np.cumsum([n * n, n, 1, n * n, n, n * n, n * n])
    transition, design, obs_var, state_cov, mean, cov, diffuse, rank = np.split(slab, sizes)
    left = np.zeros(width, np.int32)
    left[:used] = lengths
    square = (n, n, width)
    params = Params(
        transition=as_argument(transition.reshape(square)),
        design=as_argument(design),
        obs_var=as_argument(obs_var[0]),
        state_cov=as_argument(state_cov.reshape(square)),
    )
    carry = Carry(
        mean=as_argument(mean),
        cov=as_argument(cov.reshape(square)),
        diffuse=as_argument(diffuse.reshape(square)),
        rank=as_argument(rank[0].astype(np.int32)),
        left=as_argument(left),
        nobs_diffuse=as_argument(np.zeros(width, np.int32)),
    )
    return params, carry


def as_argument(array: NDArray[np.float64] | NDArray[np.int32]) -> Array:
    """Pass a NumPy array as it is: jit copies it in under 5 µs, `jnp.asarray` in 19, and a batch has eleven."""
    return cast("Array", array)


def pack_chunk(series: Sequence[Series], first: int, length: int, width: int) -> NDArray[np.float64]:
    """Lay rows `first` to `first + length` of each series side by side, time-major; NaN where there is none."""
    chunk = np.full((width, length), np.nan)
    for lane, y in enumerate(series):
        piece = y[first : first + length]
        chunk[lane, : len(piece)] = piece
    return np.ascontiguousarray(chunk.T)


def unpack_chunk(time_major: NDArray[np.float64], series_major: NDArray[np.float64]) -> None:
    """Copy `[time, ..., batch]` into `[batch, time, ...]`, a few rows of time at a time: 7 times faster."""
    turned = np.moveaxis(time_major, -1, 0)
    for first in range(0, len(time_major), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        series_major[:, rows] = turned[:, rows]
