"""Filter, smooth and forecast many series, each with its own model, in as few compiled calls as shapes allow.

A series' answer never depends on its neighbours: lanes of a batch do not mix, and the padding that gives a
batch a known shape is neither computed (time) nor read (lanes). All of these block until done (keep them off
the event loop) and are safe to call from several threads. An item is (y, model): y is float64 `[T]`, NaN
where missing, of any length, also none.
"""

import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, Literal, NamedTuple

import jax
import numpy as np

from luna_serving.statespace.answers import forecast_results, poorly_smoothed, series_results
from luna_serving.statespace.filter import Variant, filter_chunk
from luna_serving.statespace.models import local_level, local_linear_trend
from luna_serving.statespace.packing import BUCKETS, STATE_COUNTS, Item, group, pack_chunk, pack_models
from luna_serving.statespace.passes import Passed, backward_pass, forward_pass
from luna_serving.statespace.precision import require_float64
from luna_serving.statespace.results import (
    BatchReport,
    BatchResult,
    Convention,
    ForecastBatchResult,
    ForecastResult,
    SeriesResult,
)

VARIANTS: Final[tuple[Variant, ...]] = ("means", "full")


class Shape(NamedTuple):
    """What one compiled program is for; "smooth" is the backward pass that follows a "full" filter."""

    states: int
    variant: Variant | Literal["smooth"]
    chunk: int
    width: int


def filter_batch(items: Sequence[Item], variant: Variant, *, loglike: Convention = "full") -> BatchResult:
    """Filter each series.

    `loglike="kfas"` leaves out ½ ln 2π for each observation that the diffuse start used up.
    """
    require_float64()
    # The very object that was compiled for: an equal string of another type would be compiled anew.
    variant = VARIANTS[VARIANTS.index(variant)]
    results: dict[int, SeriesResult] = {}
    batches: list[Passed] = []
    for part in group(items, BUCKETS[variant].widths):
        passed = forward_pass(items, part, variant)
        results.update(zip(part.places, series_results(passed, loglike), strict=True))
        batches.append(passed)
    ordered = [results[place] for place in range(len(items))]
    return BatchResult(ordered, _report(batches, _overflows([result.finite for result in ordered])))


def smooth_batch(items: Sequence[Item], *, loglike: Convention = "full") -> BatchResult:
    """Filter and smooth each series: `SeriesResult` with both `full` and `smoothed`."""
    require_float64()
    results: dict[int, SeriesResult] = {}
    batches: list[Passed] = []
    for part in group(items, BUCKETS["full"].widths):
        passed = forward_pass(items, part, "full", keep=True)
        backward_pass(passed)
        results.update(zip(part.places, series_results(passed, loglike), strict=True))
        batches.append(passed)
    ordered = [results[place] for place in range(len(items))]
    poor = sum(map(poorly_smoothed, ordered))
    warnings = _overflows([result.finite for result in ordered])
    if poor:
        warnings += (f"{poor} of {len(ordered)} series have smoothed variances 1e8 times below the filtered ones",)
    return BatchResult(ordered, _report(batches, warnings))


def forecast_batch(items: Sequence[Item], steps: Sequence[int], *, loglike: Convention = "full") -> ForecastBatchResult:
    """Filter each series and forecast it, the first `steps[0]` periods beyond its end and so on; zero is none.

    While the start is still diffuse the variance is +inf: nothing observed bears on the forecast. Steps are
    data: no horizon compiles anything. Memory goes with the longest horizon of up to 32 series.
    """
    require_float64()
    if len(steps) != len(items):
        raise ValueError(f"steps must name one number a series: {len(items)} series, {len(steps)} steps")
    if min(steps, default=0) < 0:
        raise ValueError(f"steps must be zero or more; got {min(steps)}")
    results: dict[int, ForecastResult] = {}
    batches: list[Passed] = []
    for part in group(items, BUCKETS["full"].widths):
        passed = forward_pass(items, part, "full")
        answers = forecast_results(passed, [steps[place] for place in part.places], series_results(passed, loglike))
        results.update(zip(part.places, answers, strict=True))
        batches.append(passed)
    ordered = [results[place] for place in range(len(items))]
    return ForecastBatchResult(ordered, _report(batches, _overflows([result.finite for result in ordered])))


def _overflows(finite: Sequence[bool]) -> tuple[str, ...]:
    bad = sum(not each for each in finite)
    return (f"{bad} of {len(finite)} series overflowed float64",) if bad else ()


def _report(batches: Sequence[Passed], warnings: tuple[str, ...]) -> BatchReport:
    shapes = [(passed.width, passed.padded) for passed in batches]
    return BatchReport(
        algorithm="per_series",
        precision="float64",
        device=jax.default_backend(),
        batch_shape=max(shapes, default=(0, 0), key=lambda shape: shape[0] * shape[1]),
        batches=len(batches),
        warnings=warnings,
    )


def compiled_shapes() -> list[Shape]:
    """Every shape that a call can ask XLA for."""
    filters = [
        Shape(states, variant, chunk, width)
        for states, variant in product(STATE_COUNTS, VARIANTS)
        for chunk, width in product(*BUCKETS[variant])
    ]
    return [*filters, *(shape._replace(variant="smooth") for shape in filters if shape.variant == "full")]


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
        model = models[shape.states]
        if shape.variant == "smooth":
            # Two chunks: the earlier one gets its carries from JAX, the later one gets NumPy's zeros.
            smooth_batch([(np.zeros(shape.chunk + 1), model)])
        else:
            params, carry = pack_models([model], [1], shape.width)
            chunk = pack_chunk([np.zeros(1)], 0, shape.chunk, shape.width)
            carry, _ = filter_chunk(params, carry, chunk, variant=shape.variant)
            # Again from a carry that JAX made, as a long series' later chunks are.
            _, outputs = filter_chunk(params, carry, chunk, variant=shape.variant)
            outputs["filtered_state"].block_until_ready()
        if progress is not None:
            progress(done, len(shapes), shape, time.perf_counter() - since)
    return time.perf_counter() - begun
