"""The filter a series at a time for means alone, many series at once: a compiled loop that carries no outputs else.

The engine's filter answers everything and runs on one core; this runs on all that it is given, at a fifth of the cost
a step. What is diffuse at the start the engine runs before.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.plans.memory import Precision
from luna_serving.engines.statespace.plans.on_gpu import kernels_run, per_series_on_gpu
from luna_serving.engines.statespace.plans.per_series import ModelArrays, Moments, per_series_filter
from luna_serving.engines.statespace.plans.slabs import rectangle
from luna_serving.engines.statespace.plans.threads import THREADS
from luna_serving.engines.statespace.results.series import SeriesResult
from luna_serving.engines.statespace.running.packing import Item, group
from luna_serving.engines.statespace.running.passes import forward_pass

# Rows that the engine runs first: any diffuse start of so few states is over by then, but for long gaps.
HEAD: Final = 16


class _Heads(NamedTuple):
    """The moments of each series after its first `HEAD` rows, and its means so far."""

    means: NDArray[np.float64]  # [series, row, n]
    moments: Moments


def per_series_batch(items: Sequence[Item], precision: Precision, pool: Executor | None) -> list[SeriesResult] | None:
    """Filtered means of series whose models have the same number of states, one observed element, and do not vary.

    None where a series is still diffuse after `HEAD` rows.
    """
    heads = _heads(items)
    if heads is None:
        return None
    done = heads.means.shape[1]
    rest = [y.reshape(-1)[done:] for y, _ in items]
    y, lanes = rectangle(rest), model_arrays([model for _, model in items])
    used: Literal["float64", "float32"] = "float64"
    if kernels_run(heads.means.shape[2], 1, precision):
        tails, _ = per_series_on_gpu(lanes, y, heads.moments, precision)
        used = "float32" if precision is np.float32 else "float64"
    else:
        tails, _ = per_series_filter(lanes, y, heads.moments, pool=pool, threads=THREADS)
    means = np.concatenate([heads.means, tails], axis=1) if done else tails
    ends = np.array([done + len(series) for series in rest])
    # What is not finite stays so: the last mean is finite only if all before it are.
    finite = np.isfinite(means[np.arange(len(items)), ends - 1]).all(axis=1).tolist()
    return [
        SeriesResult(model, means[place, :end], finite[place], None, precision=used)
        for place, ((_, model), end) in enumerate(zip(items, ends.tolist(), strict=True))
    ]


def _heads(items: Sequence[Item]) -> _Heads | None:
    """The first rows by the engine's own filter; None where a series is still diffuse after them."""
    models, n = [model for _, model in items], items[0][1].states
    if not any(model.start.rank for model in models):
        known = Moments(
            *(np.stack(part, axis=-1) for part in zip(*((m.start.mean, m.start.cov) for m in models), strict=True))
        )
        return _Heads(np.empty((len(items), 0, n)), known)
    means, mean, cov = np.empty((len(items), HEAD, n)), np.empty((n, len(items))), np.empty((n, n, len(items)))
    begun = [(y.reshape(-1)[:HEAD], model) for y, model in items]
    for part in group(begun, "means"):
        passed = forward_pass(begun, part, None)
        own, used = list(part.places), len(part.places)
        if np.asarray(passed.carry.rank)[:used].any() or any((lane.prepared.scale != 1).any() for lane in passed.lanes):
            return None
        means[own] = passed.outputs["filtered_state"][:, :HEAD, :n]
        mean[:, own] = np.asarray(passed.carry.mean)[:n, :used]
        cov[:, :, own] = np.asarray(passed.carry.cov)[:n, :n, :used]
    return _Heads(means, Moments(mean, cov))


def model_arrays(models: Sequence[Model]) -> ModelArrays:
    """The models' matrices, one per lane."""
    distinct = list(dict.fromkeys(models))
    place_of = {model: place for place, model in enumerate(distinct)}
    places = [place_of[model] for model in models]

    def stacked(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.ascontiguousarray(np.moveaxis(np.array(parts)[places], 0, -1))

    return ModelArrays(
        transition=stacked([model.transition for model in distinct]),
        design=stacked([model.design[0] for model in distinct]),
        obs_var=stacked([model.obs_cov[0, 0] for model in distinct]),
        state_cov=stacked([model.disturbance_cov for model in distinct]),
        state_intercept=stacked([model.state_intercept for model in distinct]),
        obs_intercept=stacked([model.obs_intercept[0] for model in distinct]),
    )
