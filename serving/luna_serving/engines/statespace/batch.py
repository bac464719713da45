"""Filter, smooth and forecast many series, each with its own model, in as few compiled calls as shapes allow.

A series' answer never depends on its neighbours: lanes of a batch do not mix, and the padding that gives a
batch a known shape is neither computed (time) nor read (lanes). All of these block until done (keep them off
the event loop) and are safe to call from several threads. An item is (y, model): y is float64 `[T]` or `[T, m]`,
NaN where missing, of any length, also none; a model that varies in time covers the series, and its forecasts.
`starts` go on from where earlier calls stopped (`SeriesResult.saved`), None begins at the model's own start.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import jax
import numpy as np

from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.plans.choose import Part, choose
from luna_serving.engines.statespace.plans.long import in_pieces, steady
from luna_serving.engines.statespace.plans.memory import Precision
from luna_serving.engines.statespace.plans.per_series_batch import per_series_batch
from luna_serving.engines.statespace.plans.shared_gain_batch import shared_gain_batch
from luna_serving.engines.statespace.process.deadline import Clock, never
from luna_serving.engines.statespace.process.jax_process import require_float64
from luna_serving.engines.statespace.recursions.filter import Variant
from luna_serving.engines.statespace.results.quality import overflows, warnings_of
from luna_serving.engines.statespace.results.refusals import PlanError
from luna_serving.engines.statespace.results.series import (
    Algorithm,
    BatchReport,
    BatchResult,
    Convention,
    ForecastBatchResult,
    SeriesResult,
)
from luna_serving.engines.statespace.running.packing import Item
from luna_serving.engines.statespace.running.passes import Passed
from luna_serving.engines.statespace.soundness.checked import Starts, Work, forecasts, needs_watching, run

VARIANTS: Final[tuple[Variant, ...]] = ("means", "full")
# Why a plan that fits in form gave up.
UNFIT: Final[Mapping[Algorithm, str]] = MappingProxyType(
    {
        "shared_gain": "shared_gain needs series that go on after their diffuse start",
        "steady_state": "the model's covariance does not settle within these series",
        "parallel_in_time": "the model's filter does not forget fast enough to cut these series",
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a caller wants the engine to work."""

    algorithm: Algorithm | None = None
    """None: the engine chooses."""
    precision: Literal["float64", "float32"] | None = None
    """The precision of data and means, where a plan has both; all else is float64. None: float32 on a GPU only."""
    pool: Executor | None = None
    """Where the plans may use a second core."""
    out_of_time: Clock = never
    """Called between the steps of long work."""


DEFAULT: Final = Options()


def filter_batch(
    items: Sequence[Item],
    variant: Variant,
    *,
    loglike: Convention = "full",
    starts: Starts = None,
    options: Options = DEFAULT,
) -> BatchResult:
    """Filter each series, by the plan that suits it (`plans.choose`) or the one that is forced.

    `loglike="kfas"` leaves out ½ ln 2π for each observation that the diffuse start used up. The variant "means"
    is a saving that models of one or two states have; others may be answered in full.

    Raises:
        ModelError: a model does not fit its series.
        PlanError: a forced plan does not fit the call.
    """
    variant = VARIANTS[VARIANTS.index(variant)]
    _check(items, starts)
    results: dict[int, SeriesResult] = {}
    batches: list[Passed] = []
    # A saved start is a series of its own: its gains are not its neighbours'.
    forced: Algorithm | None = "per_series" if starts and options.algorithm is None else options.algorithm
    if starts and forced in UNFIT:
        raise PlanError(f"{forced} runs from a model's own start only")
    root = None if forced in UNFIT else _root(options)
    left: list[int] = []
    work = Work(variant, loglike, root=root, out_of_time=options.out_of_time)
    for part in choose(items, variant, forced):
        answers = _special(part, items, work, options)
        if answers is None and forced in UNFIT and not needs_watching([items[place] for place in part.places], work):
            raise PlanError(UNFIT[part.plan])
        if answers is None:
            left += part.places
        else:
            results.update(zip(part.places, answers, strict=True))
    if left:
        own = run([items[place] for place in left], starts, work)
        results.update(zip(left, own.results, strict=True))
        batches = own.batches
    ordered = [results[place] for place in range(len(items))]
    report = _report(batches, warnings_of(ordered))
    if ordered and not batches:
        report = replace(report, batch_shape=(len(ordered), max(len(y) for y, _ in items)), batches=1)
    return BatchResult(ordered, report)


def _special(part: Part, items: Sequence[Item], work: Work, options: Options) -> list[SeriesResult] | None:
    """Answers of the plans other than the engine's own filter; None where a plan gives up, or is the engine's own."""
    if not (part.plan in UNFIT or part.lanes):
        return None
    own = [items[place] for place in part.places]
    if needs_watching(own, work):
        return None
    wanted = options.precision or ("float32" if jax.default_backend() == "gpu" else "float64")
    precision: Precision = np.float32 if wanted == "float32" else np.float64
    match part.plan:
        case "shared_gain":
            return shared_gain_batch(own, work.variant, work.loglike, precision, options.pool)
        case "steady_state":
            return steady(own, options.pool)
        case "parallel_in_time":
            single = in_pieces(own[0], options.pool)
            return None if single is None else [single]
        case "per_series" if part.lanes:
            return per_series_batch(own, precision, options.pool)
        case _:
            return None


def smooth_batch(
    items: Sequence[Item],
    *,
    loglike: Convention = "full",
    starts: Starts = None,
    later: bool = False,
    options: Options = DEFAULT,
) -> BatchResult:
    """Filter and smooth each series: `SeriesResult` with both `full` and `smoothed`; `later`: with r and N as well.

    Raises:
        ModelError: a model does not fit its series.
        PlanError: another plan than per_series or square_root is forced.
    """
    _check(items, starts)
    work = Work("full", loglike, smooth=True, later=later, root=_root(options), out_of_time=options.out_of_time)
    checked = run(items, starts, work)
    return BatchResult(checked.results, _report(checked.batches, warnings_of(checked.results)))


def forecast_batch(
    items: Sequence[Item],
    steps: Sequence[int],
    *,
    loglike: Convention = "full",
    starts: Starts = None,
    options: Options = DEFAULT,
) -> ForecastBatchResult:
    """Filter each series and forecast it, the first `steps[0]` periods beyond its end and so on; zero is none.

    While the start is still diffuse the variance is +inf: nothing observed bears on the forecast. Steps are
    data: no horizon compiles anything. Memory grows with the longest horizon of all series.

    Raises:
        ModelError: a model does not fit its series, or does not cover its forecasts.
        PlanError: another plan than per_series or square_root is forced.
    """
    if len(steps) != len(items):
        raise ValueError(f"steps must name one number a series: {len(items)} series, {len(steps)} steps")
    if min(steps, default=0) < 0:
        raise ValueError(f"steps must be zero or more; got {min(steps)}")
    _check(items, starts, steps)
    work = Work("full", loglike, root=_root(options), out_of_time=options.out_of_time)
    results, batches = forecasts(items, starts, steps, work)
    return ForecastBatchResult(results, _report(batches, overflows([result.finite for result in results])))


def _root(options: Options) -> bool | None:
    """Whether the square-root filter is forced or forbidden."""
    if options.algorithm in {None, "per_series", "square_root"}:
        return None if options.algorithm is None else options.algorithm == "square_root"
    raise PlanError(
        f"{options.algorithm} is a plan of the filter: smoothing and forecasts run per_series or square_root"
    )


def _check(items: Sequence[Item], starts: Starts, steps: Sequence[int] | None = None) -> None:
    require_float64()
    for place, (y, model) in enumerate(items):
        start = starts[place] if starts else None
        _check_fits(y, model, (start.period if start else 0) + (steps[place] if steps else 0))


def _check_fits(y: np.ndarray[tuple[int, ...], np.dtype[np.float64]], model: Model, more: int) -> None:
    width = 1 if y.ndim == 1 else y.shape[1]
    if width != model.observed:
        raise ModelError("/design", f"observes {model.observed} elements; the series has {width} a point")
    if model.length is not None and len(y) + more > model.length:
        raise ModelError(
            model.varying,
            f"covers {model.length} periods; the series with its forecasts has {len(y) + more}",
        )


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
