"""Filter many series, each with its own model, in as few compiled calls as their shapes allow.

A series' answer never depends on its neighbours: lanes of a batch do not mix, and the padding that gives a
batch a known shape is neither computed (time) nor read (lanes).
"""

import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.filter import LOG_2PI, Variant, filter_chunk
from luna_serving.statespace.models import Model, local_level, local_linear_trend
from luna_serving.statespace.packing import (
    BUCKETS,
    STATE_COUNTS,
    Group,
    Item,
    group,
    pack_chunk,
    pack_models,
    spans,
    unpack_chunk,
)
from luna_serving.statespace.precision import require_float64
from luna_serving.statespace.results import BatchReport, BatchResult, Convention, FullOutputs, SeriesResult

VARIANTS: Final[tuple[Variant, ...]] = ("means", "full")
# Known a step further than the observations: state[T+1] is predicted too.
_ONE_MORE: Final = frozenset({"predicted_state", "predicted_state_cov"})


class Shape(NamedTuple):
    """What one compiled program is for."""

    states: int
    variant: Variant
    chunk: int
    width: int


def filter_batch(items: Sequence[Item], variant: Variant, *, loglike: Convention = "full") -> BatchResult:
    """Filter each (y, model): y is float64 `[T]`, NaN where missing, of any length, also none.

    `loglike="kfas"` leaves out ½ ln 2π for each observation that the diffuse start used up. Blocks until done:
    keep it off the event loop. Safe to call from several threads.
    """
    require_float64()
    # The very object that was compiled for: an equal string of another type would be compiled anew.
    variant = VARIANTS[VARIANTS.index(variant)]
    results: dict[int, SeriesResult] = {}
    shapes: list[tuple[int, int]] = []
    for part in group(items, BUCKETS[variant].widths):
        answers, padded = _filter_group([items[place] for place in part.places], part, variant, loglike)
        results.update(zip(part.places, answers, strict=True))
        shapes.append((part.width, padded))
    ordered = [results[place] for place in range(len(items))]
    overflowed = sum(not result.finite for result in ordered)
    report = BatchReport(
        algorithm="per_series",
        precision="float64",
        device=jax.default_backend(),
        batch_shape=max(shapes, default=(0, 0), key=lambda shape: shape[0] * shape[1]),
        batches=len(shapes),
        warnings=(f"{overflowed} of {len(ordered)} series overflowed float64",) if overflowed else (),
    )
    return BatchResult(ordered, report)


def _filter_group(
    items: Sequence[Item], part: Group, variant: Variant, loglike: Convention
) -> tuple[list[SeriesResult], int]:
    series = [y for y, _ in items]
    models = [model for _, model in items]
    lengths = [len(y) for y in series]
    longest = max(lengths)
    params, carry = pack_models(models, lengths, part.width)
    gathered: dict[str, NDArray[np.float64]] = {}
    padded = 0
    for first, length in spans(longest, BUCKETS[variant].lengths):
        carry, outputs = filter_chunk(params, carry, pack_chunk(series, first, length, part.width), variant=variant)
        _gather(gathered, outputs, first, longest, len(items))
        padded = first + length
    nobs_diffuse = np.asarray(carry.nobs_diffuse)
    unpacked = [
        _unpack(model, {name: lanes[lane] for name, lanes in gathered.items()}, length, int(nobs), loglike)
        for lane, (model, length, nobs) in enumerate(zip(models, lengths, nobs_diffuse[: len(items)], strict=True))
    ]
    return unpacked, padded


def _gather(
    gathered: dict[str, NDArray[np.float64]], outputs: dict[str, jax.Array], first: int, longest: int, used: int
) -> None:
    """Copy a chunk's outputs, time-major with the batch last, to series-major arrays of the whole length."""
    for name, output in outputs.items():
        rows = longest + 1 if name in _ONE_MORE else longest
        piece = np.asarray(output)[: rows - first, ..., :used]
        if name not in gathered:
            gathered[name] = np.empty((used, rows, *piece.shape[1:-1]))
        unpack_chunk(piece, gathered[name][:, first : first + len(piece)])


def _unpack(
    model: Model, lanes: dict[str, NDArray[np.float64]], length: int, nobs_diffuse: int, loglike: Convention
) -> SeriesResult:
    rows = {name: lane[: length + 1 if name in _ONE_MORE else length] for name, lane in lanes.items()}
    filtered_state = rows.pop("filtered_state")
    if not rows:
        return SeriesResult(model, filtered_state, bool(np.isfinite(filtered_state).all()), None)
    if loglike == "kfas":
        met = (rows["forecast_error_diffuse_cov"] > 0) & ~np.isnan(rows["forecast_error"])
        rows["loglike_obs"] = rows["loglike_obs"] + np.where(met, LOG_2PI / 2, 0.0)
    full = FullOutputs(**rows, loglike=float(rows["loglike_obs"].sum()), nobs_diffuse=nobs_diffuse)
    # Missing observations leave NaN on purpose in the two outputs about errors; they follow from these.
    checked = (filtered_state, full.filtered_state_cov, full.predicted_state, full.predicted_state_cov)
    sums = (*(np.isfinite(array).all() for array in checked), np.isfinite(full.loglike))
    return SeriesResult(model, filtered_state, all(sums), full)


def compiled_shapes() -> list[Shape]:
    """Every shape that `filter_batch` can ask XLA for."""
    return [
        Shape(states, variant, chunk, width)
        for states, variant in product(STATE_COUNTS, VARIANTS)
        for chunk, width in product(*BUCKETS[variant])
    ]


def warm_up(progress: Callable[[int, int, Shape, float], None] | None = None) -> float:
    """Compile every shape ahead of time, so that a live replica never does; return the seconds it took.

    `progress(done, total, shape, seconds)` is called after each.
    """
    require_float64()
    models = {
        1: local_level(obs_var=1.0, level_var=1.0),
        2: local_linear_trend(obs_var=1.0, level_var=1.0, trend_var=1.0),
    }
    shapes = compiled_shapes()
    begun = time.perf_counter()
    for done, shape in enumerate(shapes, start=1):
        since = time.perf_counter()
        params, carry = pack_models([models[shape.states]], [1], shape.width)
        chunk = pack_chunk([np.zeros(1)], 0, shape.chunk, shape.width)
        carry, _ = filter_chunk(params, carry, chunk, variant=shape.variant)
        # Again from a carry that JAX made, as a long series' later chunks are.
        _, outputs = filter_chunk(params, carry, chunk, variant=shape.variant)
        outputs["filtered_state"].block_until_ready()
        if progress is not None:
            progress(done, len(shapes), shape, time.perf_counter() - since)
    return time.perf_counter() - begun
