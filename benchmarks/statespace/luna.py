"""Luna's two ways: the engine's batch call, and the array plans beneath it."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal

import numpy as np

from luna_serving.engines.statespace.batch import Options, filter_batch
from luna_serving.engines.statespace.plans.blocks import Blocks, packed
from luna_serving.engines.statespace.plans.choose import LONG
from luna_serving.engines.statespace.plans.parallel_in_time import parallel_in_time_means
from luna_serving.engines.statespace.plans.per_series import ModelArrays, Moments, per_series_filter, per_series_means
from luna_serving.engines.statespace.plans.per_series_batch import model_arrays
from luna_serving.engines.statespace.plans.recurrence import Recurrence, settled
from luna_serving.engines.statespace.plans.shared_gain import Table, shared_gain_filter, shared_gain_means
from luna_serving.engines.statespace.plans.shared_gain_batch import probe
from luna_serving.engines.statespace.plans.steady_state import steady_means
from luna_serving.engines.statespace.plans.tiles import WIDTHS
from luna_serving.engines.statespace.results.series import BatchResult

from .workload import MODEL, START_COV, START_MEAN, Answer, Floats, Prepared, Task

# Periods within which the covariance of the workload's model has settled.
HEAD = 1024


class FilterBatch:
    """`filter_batch`: a list of arrays and models in, a result a series out. It picks its plan itself."""

    name = "filter_batch"
    shortens: Literal["series", "periods"] | None = None

    def __init__(self, pool: Executor | None) -> None:
        self._options = Options(pool=pool)

    def prepare(self, task: Task, y: Floats) -> Prepared:
        """Each series an array of its own, all of them under one model."""
        items = [(row, MODEL) for row in y]
        variant: Literal["means", "full"] = "full" if task is Task.FULL else "means"
        return Prepared(lambda: filter_batch(items, variant, options=self._options), _one_of_batch)


def _one_of_batch(batch: BatchResult, place: int) -> Answer:
    result = batch.series[place]
    if result.full is None:
        return Answer(result.filtered_state)
    return Answer(result.filtered_state, result.full.filtered_state_cov, result.full.loglike_obs)


def _one_of_array(means: Floats, place: int) -> Answer:
    return Answer(means[place])


class ArrayPlan:
    """The plans of `statespace/plans`: one array `[series, period]` in, one `[series, period, state]` out.

    Where gains are shared they are computed before, once, and are no part of the call.
    """

    name = "plan"
    shortens: Literal["series", "periods"] | None = None

    def __init__(self, pool: Executor | None, threads: int) -> None:
        self._pool = pool
        self._threads = threads

    def prepare(self, task: Task, y: Floats) -> Prepared | None:
        """For few long series the plans that work on many periods at once. Means only."""
        if task is Task.FULL:
            return None
        batch, length = y.shape
        few_and_long = batch < WIDTHS[0] and length >= LONG
        if task is Task.MEANS:
            return self._steady(y) if few_and_long else self._shared(y)
        if few_and_long and batch == 1:
            return self._in_pieces(y[0])
        return self._per_series(y)

    def _shared(self, y: Floats) -> Prepared:
        return Prepared(self._shared_gain(_gains(y.shape[1]), y), _one_of_array)

    def _shared_gain(self, gains: Recurrence, y: Floats) -> Callable[[], Floats]:
        start = np.repeat(START_MEAN[:, None], len(y), axis=1)
        return lambda: shared_gain_filter(gains, y, start, pool=self._pool, threads=self._threads)

    def _steady(self, y: Floats) -> Prepared:
        covs = probe(np.zeros((HEAD, 1)), MODEL, "full")[0].full
        rest = None if covs is None else settled(covs.predicted_state_cov[:-1])
        if rest is None:
            raise ValueError(f"the workload's model does not settle within {HEAD} periods")
        gains = _gains(rest + 1)
        head, tail = self._shared_gain(gains, y[:, : rest + 1]), np.ascontiguousarray(y[:, rest + 1 :, None])
        phi, gain, offset = gains.phi[rest], gains.gain[rest], gains.offset[rest]

        def run() -> tuple[Floats, Floats]:
            first = head()
            return first, steady_means(phi, gain, offset, tail, first[:, -1], pool=self._pool)

        return Prepared(run, lambda parts, place: Answer(np.concatenate([part[place] for part in parts])))

    def _per_series(self, y: Floats) -> Prepared:
        lanes, start = _lanes(len(y))

        def run() -> Floats:
            return per_series_filter(lanes, y, start, pool=self._pool, threads=self._threads)[0]

        return Prepared(run, _one_of_array)

    def _in_pieces(self, y: Floats) -> Prepared:
        lanes, start = _lanes(1)

        def run() -> Any:  # noqa: ANN401
            return parallel_in_time_means(lanes, y, start, pool=self._pool, threads=self._threads)

        return Prepared(run, lambda result, _place: Answer(result[0]))


class InBlocks:
    """The same plans for whoever keeps data as the compiled programs read it, and reads means as they wrote them.

    An answer is released before the next is asked for, and written over.
    """

    name = "blocks"
    shortens: Literal["series", "periods"] | None = None

    def __init__(self, pool: Executor | None, threads: int) -> None:
        self._pool = pool
        self._threads = threads

    def prepare(self, task: Task, y: Floats) -> Prepared | None:
        """Means only; packed before, once."""
        batch, length = y.shape
        if task is Task.FULL or (batch < WIDTHS[0] and length >= LONG):
            return None
        data = packed(y, threads=self._threads)
        held: list[Blocks] = []
        table, start = Table.of(_gains(length)), np.repeat(START_MEAN[:, None], batch, axis=1)
        lanes, moments = _lanes(batch)

        def run() -> None:
            while held:
                held.pop().release()
            if task is Task.MEANS:
                found = shared_gain_means(table, data, start, pool=self._pool, threads=self._threads)
            else:
                found, _ = per_series_means(lanes, data, moments, pool=self._pool, threads=self._threads)
            held.append(found)

        return Prepared(run, lambda _, place: Answer(held[-1].series(place)))


def _gains(length: int) -> Recurrence:
    return probe(np.zeros((length, 1)), MODEL, "full")[1]


def _lanes(batch: int) -> tuple[ModelArrays, Moments]:
    """The model and its start once a series."""
    mean, cov = (np.repeat(part[..., None], batch, axis=-1) for part in (START_MEAN, START_COV))
    return model_arrays([MODEL] * batch), Moments(mean, cov)
