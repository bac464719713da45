"""Many tasks at once answer as one by one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.engines.indicators.cases import ENTRIES
from tests.engines.indicators.histories import random_bars, with_gaps

from luna_serving.engines.indicators.catalogue import checked
from luna_serving.engines.indicators.compute import InputMissing, Task, compute, compute_many
from luna_serving.engines.indicators.gaps import Gaps

BENCHMARK = random_bars(150, 24)
TASKS = [
    Task(entry, checked(entry, {}), bars, gaps, benchmark=BENCHMARK)
    for bars in (random_bars(150, 25), with_gaps(random_bars(150, 26), 0.05, 27), random_bars(150, 28)[:40])
    for gaps in (Gaps.SKIP, Gaps.RESTART)
    for entry in ENTRIES
]


@pytest.mark.parametrize("threads", [0, 2])
def test_tasks_are_answered_in_order_and_as_alone(threads: int) -> None:
    if threads:
        with ThreadPoolExecutor(threads) as pool:
            answers = compute_many(TASKS, pool)
    else:
        answers = compute_many(TASKS)
    for task, answer in zip(TASKS, answers, strict=True):
        alone = compute(task.indicator, task.params, task.bars, gaps=task.gaps, benchmark=task.benchmark)
        assert list(answer) == list(task.indicator.outputs)
        for name, column in alone.items():
            assert np.array_equal(answer[name], column, equal_nan=True), (task.indicator.name, name)


def test_no_task_has_no_answer() -> None:
    assert compute_many([]) == []


def test_a_task_that_cannot_be_computed_is_refused() -> None:
    (beta,) = (entry for entry in ENTRIES if entry.name == "beta")
    with pytest.raises(InputMissing):
        compute_many([Task(beta, checked(beta, {}), BENCHMARK)])
