"""Luna's way: the engine's batch call."""

from concurrent.futures import Executor
from typing import Literal

from luna_serving.engines.statespace.api.compute import Options, filter_batch
from luna_serving.engines.statespace.results.series import BatchResult

from .workload import MODEL, Answer, Floats, Prepared, Task


class FilterBatch:
    """`filter_batch`: a list of arrays and models in, one result per series out. It picks its plan itself."""

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
