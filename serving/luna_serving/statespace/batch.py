"""Filter, smooth and forecast many series, each with its own model, in as few compiled calls as shapes allow.

A series' answer never depends on its neighbours: lanes of a batch do not mix, and the padding that gives a
batch a known shape is neither computed (time) nor read (lanes). All of these block until done (keep them off
the event loop) and are safe to call from several threads. An item is (y, model): y is float64 `[T]` or `[T, m]`,
NaN where missing, of any length, also none; a model that varies in time covers the series, and its forecasts.
`starts` go on from where earlier calls stopped (`SeriesResult.saved`), None from the model's own start.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import jax
import numpy as np

from luna_serving.statespace.answers import forecast_results, poorly_smoothed, series_results
from luna_serving.statespace.checks import ModelError
from luna_serving.statespace.filter import Variant
from luna_serving.statespace.model import Model
from luna_serving.statespace.packing import Group, Item, Kind, group, kinds
from luna_serving.statespace.passes import Passed, backward_pass, forward_pass
from luna_serving.statespace.precision import require_float64
from luna_serving.statespace.results import (
    BatchReport,
    BatchResult,
    Convention,
    ForecastBatchResult,
    SeriesResult,
)
from luna_serving.statespace.saved import Saved

VARIANTS: Final[tuple[Variant, ...]] = ("means", "full")
Starts = Sequence[Saved | None] | None


class Shape(NamedTuple):
    """What one compiled program is for; "smooth" is the backward pass that follows a "full" filter."""

    kind: Kind
    variant: Variant | Literal["smooth"]
    chunk: int
    width: int


def filter_batch(
    items: Sequence[Item], variant: Variant, *, loglike: Convention = "full", starts: Starts = None
) -> BatchResult:
    """Filter each series.

    `loglike="kfas"` leaves out ½ ln 2π for each observation that the diffuse start used up. The variant "means" is
    a saving that models of one or two states have; others are answered in full.

    Raises:
        ModelError: a model does not fit its series.
    """
    results, batches = _passed(items, VARIANTS[VARIANTS.index(variant)], loglike, starts, smooth=False)
    return BatchResult(results, _report(batches, _overflows([result.finite for result in results])))


def smooth_batch(items: Sequence[Item], *, loglike: Convention = "full", starts: Starts = None) -> BatchResult:
    """Filter and smooth each series: `SeriesResult` with both `full` and `smoothed`.

    Raises:
        ModelError: a model does not fit its series.
    """
    results, batches = _passed(items, "full", loglike, starts, smooth=True)
    poor = sum(map(poorly_smoothed, results))
    warnings = _overflows([result.finite for result in results])
    if poor:
        warnings += (f"{poor} of {len(results)} series have smoothed variances 1e8 times below the filtered ones",)
    return BatchResult(results, _report(batches, warnings))


def forecast_batch(
    items: Sequence[Item], steps: Sequence[int], *, loglike: Convention = "full", starts: Starts = None
) -> ForecastBatchResult:
    """Filter each series and forecast it, the first `steps[0]` periods beyond its end and so on; zero is none.

    While the start is still diffuse the variance is +inf: nothing observed bears on the forecast. Steps are
    data: no horizon compiles anything. Memory goes with the longest horizon of all series.

    Raises:
        ModelError: a model does not fit its series, or does not cover its forecasts.
    """
    if len(steps) != len(items):
        raise ValueError(f"steps must name one number a series: {len(items)} series, {len(steps)} steps")
    if min(steps, default=0) < 0:
        raise ValueError(f"steps must be zero or more; got {min(steps)}")
    filtered, batches = _passed(items, "full", loglike, starts, smooth=False, steps=steps)
    results = forecast_results(steps, filtered)
    return ForecastBatchResult(results, _report(batches, _overflows([result.finite for result in results])))


def _passed(
    items: Sequence[Item],
    variant: Variant,
    loglike: Convention,
    starts: Starts,
    *,
    smooth: bool,
    steps: Sequence[int] | None = None,
    root: bool | None = None,
) -> tuple[list[SeriesResult], list[Passed]]:
    require_float64()
    for place, (y, model) in enumerate(items):
        start = starts[place] if starts else None
        _check_fits(y, model, (start.period if start else 0) + (steps[place] if steps else 0))
    results: dict[int, SeriesResult] = {}
    batches: list[Passed] = []
    for part in group(items, variant, root):
        passed = forward_pass(items, part, starts, keep=smooth)
        if smooth:
            backward_pass(passed)
        results.update(zip(part.places, series_results(passed, loglike), strict=True))
        batches.append(passed)
    return [results[place] for place in range(len(items))], batches


def _check_fits(y: np.ndarray[tuple[int, ...], np.dtype[np.float64]], model: Model, more: int) -> None:
    width = 1 if y.ndim == 1 else y.shape[1]
    if width != model.observed:
        raise ModelError("/design", f"observes {model.observed} elements; the series has {width} a point")
    if model.length is not None and len(y) + more > model.length:
        raise ModelError(
            model.varying,
            f"covers {model.length} periods; the series with its forecasts has {len(y) + more}",
        )


def _overflows(finite: Sequence[bool]) -> tuple[str, ...]:
    bad = sum(not each for each in finite)
    return (f"{bad} of {len(finite)} series overflowed float64",) if bad else ()


def _report(batches: Sequence[Passed], warnings: tuple[str, ...]) -> BatchReport:
    shapes = [(passed.group.width, passed.padded) for passed in batches]
    return BatchReport(
        algorithm="per_series",
        precision="float64",
        device=jax.default_backend(),
        batch_shape=max(shapes, default=(0, 0), key=lambda shape: shape[0] * shape[1]),
        batches=len(batches),
        warnings=warnings,
    )


def compiled_shapes() -> list[Shape]:
    """Every shape that a call can ask XLA for, the most usual first."""
    filters = [
        Shape(kind, variant, chunk, width)
        for kind in kinds()
        for variant in kind.variants
        for chunk in kind.buckets(variant).lengths
        for width in kind.buckets(variant).widths
    ]
    smoothers = [shape._replace(variant="smooth") for shape in filters if shape.variant == "full"]
    return sorted([*filters, *smoothers], key=lambda shape: (not shape.kind.simple, shape.kind.states))


def warm_up(progress: Callable[[int, int, Shape, float], None] | None = None) -> float:
    """Compile every shape ahead of time, so that a live replica never does; return the seconds it took.

    `progress(done, total, shape, seconds)` is called after each.
    """
    require_float64()
    shapes = compiled_shapes()
    begun = time.perf_counter()
    for done, shape in enumerate(shapes, start=1):
        since = time.perf_counter()
        compile_shape(shape)
        if progress is not None:
            progress(done, len(shapes), shape, time.perf_counter() - since)
    return time.perf_counter() - begun


def compile_shape(shape: Shape) -> None:
    """Run a series through the programs of a shape."""
    smooth = shape.variant == "smooth"
    model = _example(shape.kind, 2 * shape.chunk)
    # Two chunks: the earlier one gets its carries from NumPy, the later one from JAX; a smoother the other way round.
    item = (np.zeros(shape.chunk + 1), model)
    part = Group(shape.kind, "full" if shape.variant == "smooth" else shape.variant, shape.width, (0,))
    passed = forward_pass([item], part, None, keep=smooth)
    if smooth:
        backward_pass(passed)


def _example(kind: Kind, periods: int) -> Model:
    """Some model of a kind, which covers so many periods."""
    n = kind.states if kind.simple else max(kind.states - 1, 3)
    transition = np.broadcast_to(np.eye(n), (periods, n, n)) if kind.varies else np.eye(n)
    return Model(transition=transition, design=np.ones((1, n)), obs_cov=np.eye(1), state_cov=np.eye(n))
