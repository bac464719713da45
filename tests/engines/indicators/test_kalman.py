"""Kalman filters as indicators: what the state-space engine's use here adds to its own tests."""

import jax.monitoring
import numpy as np
import pytest
from tests.engines.indicators.histories import random_bars

from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import Task, compute, compute_many

COMPILED = "/jax/core/compile/backend_compile_duration"
FILTERS = ("kalman_level", "kalman_trend", "kalman_beta")


@pytest.mark.parametrize("name", FILTERS)
def test_no_length_compiles_anything(name: str) -> None:
    entry = CATALOGUE[name]
    params = checked(entry, {})
    bars, benchmark = random_bars(3000, 33), random_bars(3000, 34)
    for size in (30, 600, 3000):
        compute(entry, params, bars[:size], benchmark=benchmark)
    seen: list[str] = []

    def listen(event: str, seconds: float, **details: object) -> None:
        if event == COMPILED:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for size in (1, 2, 3, 57, 255, 256, 257, 700, 2049, 2999):
            compute(entry, params, bars[:size], benchmark=benchmark)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert seen == []


@pytest.mark.parametrize("name", FILTERS)
def test_a_batch_of_many_symbols_is_each_alone(name: str) -> None:
    entry = CATALOGUE[name]
    benchmark = random_bars(300, 35)
    tasks = [
        Task(
            entry,
            checked(entry, {"obs_var": 0.5 + seed}),
            random_bars(300, seed)[: 300 - 9 * seed],
            benchmark=benchmark,
        )
        for seed in range(33)
    ]
    for task, answer in zip(tasks, compute_many(tasks), strict=True):
        alone = compute(entry, task.params, task.bars, benchmark=benchmark)
        assert all(np.array_equal(answer[line], alone[line], equal_nan=True) for line in entry.outputs)


def test_a_level_that_never_walks_is_the_mean_so_far() -> None:
    entry = CATALOGUE["kalman_level"]
    bars = random_bars(200, 36)
    got = compute(entry, checked(entry, {"level_var": 0}), bars)["kalman_level"]
    assert got == pytest.approx(np.cumsum(bars.close) / np.arange(1, 201), rel=1e-12)
