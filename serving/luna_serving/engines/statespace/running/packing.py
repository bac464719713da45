"""From a list of series and models to padded arrays of a few known shapes, and back. Pure NumPy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, cast

import numpy as np
from jax import Array
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import Rows, collapsed_rows_of
from luna_serving.engines.statespace.recursions.filter import Carry, Variant
from luna_serving.engines.statespace.recursions.recursion import Moving, Observing, System
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.running.prepared import (
    SIMPLE_STATES,
    STATE_BUCKETS,
    Prepared,
    needs_square_root,
    prepare,
)

Series = NDArray[np.float64]
Item = tuple[Series, Model]


class Buckets(NamedTuple):
    """The padded sizes that one variant of the filter is compiled for, ascending."""

    lengths: tuple[int, ...]  # rows of time in a chunk; the empty end of a chunk is not computed
    widths: tuple[int, ...]  # series in a batch


# Every new shape would be a fresh XLA compile on a live replica, so these are all there are.
# 256 rows hold a typical request; 2048 cut a long series into few calls. 32 series cost almost what one costs
# (the loop's overhead), so nothing narrower is worth a compile; 256 halve that overhead again.
# `full` computes so much outside the loop that larger buckets would gain 0 to 30 %; they took half of the
# warm-up to compile.
SIMPLE_BUCKETS: Final[Mapping[Variant, Buckets]] = MappingProxyType(
    {"means": Buckets((256, 2048), (32, 256)), "full": Buckets((256,), (32,))}
)
# By number of states: what a chunk's covariances take stays below 40 MB, and many states fill a core by themselves.
BUCKETS: Final[Mapping[int, Buckets]] = MappingProxyType(
    {
        4: Buckets((256,), (32,)),
        8: Buckets((256,), (8,)),
        16: Buckets((128,), (8,)),
        32: Buckets((64,), (1, 8)),
        64: Buckets((64,), (1,)),
    }
)
# 64 rows of 256 float64 are 128 KiB: a block that turning it over keeps in the second-level cache.
ROWS_AT_A_TIME: Final = 64


class Kind(NamedTuple):
    """What models must have in common to run in one batch."""

    simple: bool
    states: int  # padded
    rows: int  # a period
    varies: bool
    root: bool  # for the square-root filter; then every matrix has an axis of time

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What is compiled for it."""
        return ("means", "full") if self.simple else ("full",)

    def buckets(self, variant: Variant) -> Buckets:
        """The shapes that it runs in."""
        return SIMPLE_BUCKETS[variant] if self.simple else BUCKETS[self.states]


@dataclass(frozen=True, slots=True)
class Group:
    """Series that run in one batch: their places in the request, in order of the batch's lanes."""

    kind: Kind
    variant: Variant
    width: int
    places: tuple[int, ...]


class Lane(NamedTuple):
    """One series of a batch."""

    prepared: Prepared
    rows: Rows
    saved: Saved  # where it starts, in the engine's units


def kinds() -> list[Kind]:
    """Every kind of model that programs are compiled for; m is data."""
    simple = [Kind(simple=True, states=n, rows=1, varies=False, root=False) for n in SIMPLE_STATES]
    forms = ((False, False), (True, False), (True, True))
    return simple + [Kind(False, n, 1, varies, root) for n in STATE_BUCKETS for varies, root in forms]


@once_per_model
def kind_of(model: Model, root: bool | None = None) -> Kind:
    """The kind of a model; `root` forces or forbids the square-root filter, None is for the model to say."""
    rooted = needs_square_root(model) if root is None else root
    prepared = prepare(model, root=rooted)
    return Kind(prepared.simple, prepared.states, prepared.rows, prepared.varies or rooted, rooted)


def group(items: Sequence[Item], variant: Variant, root: bool | None = None) -> Iterator[Group]:
    """Split a request into batches: by kind (see `kind_of`), then by length, so that few lanes wait for one."""
    places_of: dict[Kind, list[int]] = {}
    for place, (_, model) in enumerate(items):
        places_of.setdefault(kind_of(model, root), []).append(place)
    for kind, places in sorted(places_of.items()):
        run = variant if variant in kind.variants else "full"
        widths = kind.buckets(run).widths
        if len(places) > widths[-1]:
            places.sort(key=lambda place: len(items[place][0]))
        for first in range(0, len(places), widths[-1]):
            part = tuple(places[first : first + widths[-1]])
            yield Group(kind, run, bucket(widths, len(part)), part)


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


def lane(y: Series, model: Model, start: Saved | None, *, root: bool = False, twin: bool = False) -> Lane:
    """One series as rows, from its model's own start or a saved state; `twin`: see `prepare`."""
    prepared = prepare(model, root=root, twin=twin)
    if start is None:
        saved, first = prepared.saved, 0
    else:
        saved, first = prepared.inward(start), start.period
    if prepared.simple:
        # As collapsed_rows_of would, without its tables.
        rows = Rows(y.reshape(-1) - model.obs_intercept[0], model.design, model.obs_cov)
    else:
        rows = collapsed_rows_of(model, y.reshape(-1, model.observed), first)
    return Lane(prepared, rows, saved)


def pack_carry(lanes: Sequence[Lane], kind: Kind, width: int) -> tuple[System | None, Carry]:
    """Lay the starts side by side, and the matrices of simple models; idle lanes are already over."""
    n, used = kind.states, len(lanes)
    rows = np.array([lane.prepared.row(lane.saved) for lane in lanes])
    slab = np.empty((rows.shape[1], width))
    slab[:, :used] = rows.T
    slab[:, used:] = slab[:, :1]
    square = (n, n, width)
    head = (n * n, n, n, 1, n * n) if kind.simple else ()
    parts = np.split(slab, np.cumsum([*head, n, n * n, n * n, 1]))
    *matrices, mean, cov, diffuse, rank, nobs_diffuse = parts
    left = np.zeros(width, np.int32)
    left[:used] = [len(lane.rows.y) for lane in lanes]
    carry = Carry(
        mean=as_argument(mean),
        cov=as_argument(cov.reshape(square)),
        diffuse=as_argument(diffuse.reshape(square)),
        rank=as_argument(rank[0].astype(np.int32)),
        left=as_argument(left),
        nobs_diffuse=as_argument(nobs_diffuse[0].astype(np.int32)),
    )
    if not kind.simple:
        return None, carry
    transition, intercept, design, obs_var, state_cov = matrices
    moving = Moving(
        as_argument(transition.reshape(square)), as_argument(intercept), as_argument(state_cov.reshape(square))
    )
    return System(Observing(as_argument(design), as_argument(obs_var[0])), moving, None), carry


def pack_system(lanes: Sequence[Lane], kind: Kind, first: int, length: int, width: int) -> System:
    """Lay rows `first` to `first + length` of the matrices of models that are not simple side by side."""
    n, m = kind.states, kind.rows
    design, obs_var = np.zeros((width, length, n)), np.ones((width, length))
    for number, lane in enumerate(lanes):
        piece = lane.rows.obs_var[first : first + length]
        obs_var[number, : len(piece)] = piece
        design[number, : len(piece)] = lane.prepared.design(lane.rows.design[first : first + length])
    row = np.arange(first, first + length)
    moving = _pack_moving(lanes, kind, row // m, width)
    observing = Observing(_batch_last(design), _batch_last(obs_var))
    return System(observing, moving, as_argument(row % m == m - 1))


def pack_noise_root(lanes: Sequence[Lane], kind: Kind, first: int, length: int, width: int) -> Array:
    """Lay G of rows `first` to `first + length` side by side, zero where no transition follows the row."""
    row = np.arange(first, first + length)
    packed = np.zeros((width, length, kind.states, kind.states))
    for number, lane in enumerate(lanes):
        if lane.prepared.noise_root is not None:
            _fill(packed[number], lane, lane.prepared.noise_root, 2, row // kind.rows)
    packed[:, row % kind.rows != kind.rows - 1] = 0.0
    return _batch_last(packed)


def _pack_moving(lanes: Sequence[Lane], kind: Kind, periods: NDArray[np.int_], width: int) -> Moving:
    n = kind.states
    shape = (width, len(periods)) if kind.varies else (width,)
    # An idle lane does not move.
    transition = np.broadcast_to(np.eye(n), (*shape, n, n)).copy()
    intercept, state_cov = np.zeros((*shape, n)), np.zeros((*shape, n, n))
    for number, lane in enumerate(lanes):
        prepared = lane.prepared
        parts = ((transition, prepared.transition, 2), (intercept, prepared.state_intercept, 1))
        for packed, matrix, rank in (*parts, (state_cov, prepared.state_cov, 2)):
            if kind.varies:
                _fill(packed[number], lane, matrix, rank, periods)
            else:
                packed[number] = matrix
    return Moving(_batch_last(transition), _batch_last(intercept), _batch_last(state_cov))


def _fill(
    packed: NDArray[np.float64], lane: Lane, matrix: NDArray[np.float64], rank: int, periods: NDArray[np.int_]
) -> None:
    """Write a lane's matrix of each period in `periods`, counted from its start, as far as its series goes."""
    covered = over_time(matrix, rank, lane.saved.period, len(lane.rows.y) // lane.prepared.rows)
    used = np.searchsorted(periods, len(covered))
    packed[:used] = covered[periods[:used]]


def _batch_last(packed: NDArray[np.float64]) -> Array:
    return as_argument(np.ascontiguousarray(np.moveaxis(packed, 0, -1)))


def as_argument(array: NDArray[np.float64] | NDArray[np.int32] | NDArray[np.bool_]) -> Array:
    """Pass a NumPy array as it is: jit copies it in under 5 µs, `jnp.asarray` in 19, and a batch has eleven."""
    return cast("Array", array)


def pack_chunk(lanes: Sequence[Lane], first: int, length: int, width: int) -> NDArray[np.float64]:
    """Lay rows `first` to `first + length` of each series side by side, time-major; NaN where there is none."""
    chunk = np.full((width, length), np.nan)
    for number, lane in enumerate(lanes):
        piece = lane.rows.y[first : first + length]
        chunk[number, : len(piece)] = piece
    return np.ascontiguousarray(chunk.T)


def unpack_chunk(time_major: NDArray[np.float64], series_major: NDArray[np.float64]) -> None:
    """Copy `[time, ..., batch]` into `[batch, time, ...]`, a few rows of time at a time: 7 times faster."""
    turned = np.moveaxis(time_major, -1, 0)
    for first in range(0, len(time_major), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        series_major[:, rows] = turned[:, rows]
