"""The plans for few long series of a model that does not vary: side by side in pieces, or from their steady state.

Both answer filtered means only. What is diffuse at the start, and in the steady state's case what has not settled
yet, the engine's filter runs before.
"""

from concurrent.futures import Executor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.plans.parallel_in_time import parallel_in_time_means
from luna_serving.engines.statespace.plans.per_series import COMPILED_STATES, Moments
from luna_serving.engines.statespace.plans.per_series_batch import model_arrays
from luna_serving.engines.statespace.plans.shared_gain_batch import until_settled
from luna_serving.engines.statespace.plans.steady_state import steady_means
from luna_serving.engines.statespace.plans.threads import THREADS
from luna_serving.engines.statespace.results.series import SeriesResult
from luna_serving.engines.statespace.running.answers import series_results
from luna_serving.engines.statespace.running.packing import Item, group
from luna_serving.engines.statespace.running.passes import forward_pass

Floats = NDArray[np.float64]
# Periods within which a diffuse start should be over.
BEFORE: Final = 1024


def steady(items: list[Item], pool: Executor | None) -> list[SeriesResult] | None:
    """Results of equally long series of one model, none of them missing a point; None where it does not settle."""
    model, length = items[0][1], len(items[0][0])
    _, shared, rest = until_settled(model, length, "full")
    if rest is None:
        return None
    y = np.stack([series.reshape(length, model.observed) for series, _ in items])
    means = np.empty((len(items), length, model.states))
    mean = np.repeat(model.start.mean[None], len(items), axis=0)
    for t in range(rest + 1):
        mean = mean @ shared.phi[t].T + y[:, t] @ shared.gain[t].T + shared.offset[t]
        means[:, t] = mean
    phi, gain, offset = shared.phi[rest], shared.gain[rest], shared.offset[rest]
    means[:, rest + 1 :] = steady_means(phi, gain, offset, y[:, rest + 1 :], mean, pool=pool)
    finite: NDArray[np.bool_] = np.all(np.isfinite(means), axis=(1, 2))
    return [
        SeriesResult(model, means[place], bool(finite[place]), None, plan="steady_state") for place in range(len(items))
    ]


def in_pieces(item: Item, pool: Executor | None) -> SeriesResult | None:
    """The result of one long series of one observed element; None where its filter does not forget fast enough."""
    y, model = item[0].reshape(-1), item[1]
    if model.states not in COMPILED_STATES or model.observed != 1 or model.length is not None:
        return None
    head = _before(item)
    if head is None or head.saved is None:
        return None
    done = len(head.filtered_state)
    start = Moments(head.saved.mean[:, None], head.saved.cov[:, :, None])
    result = parallel_in_time_means(model_arrays([model]), y[done:], start, pool=pool, threads=THREADS)
    if result is None:
        return None
    means = np.concatenate([head.filtered_state, result[0]])
    return SeriesResult(model, means, bool(np.isfinite(means).all()), None, plan="parallel_in_time")


def _before(item: Item) -> SeriesResult | None:
    """The series until nothing is diffuse any more; None where that takes long."""
    head = (item[0][:BEFORE], item[1])
    (part,) = group([head], "full")
    (result,) = series_results(forward_pass([head], part, None), "full")
    return result if result.saved is not None and result.saved.rank == 0 and result.finite else None
