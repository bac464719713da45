"""Series-steps per second of scores, beside the memory passes that they need and beside statsmodels."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import statsmodels.api as sm

from luna_serving.engines.anomaly import api

MINUTE_MS, WEEK = 60_000, 10_080
START = 1_700_006_400_000
# Reads of values and times, writes of scores, means and deviations, and the state's arrays once per row.
PASSES = 30


def measure() -> list[tuple[str, ...]]:
    """Rows of the table."""
    rng = np.random.default_rng(0)
    rows = []
    for series in (1, 100, 1000):
        steps = WEEK if series == 1 else 2000
        stamps = START + MINUTE_MS * np.arange(WEEK + steps)
        angle = 2 * np.pi * stamps / 86_400_000
        values = 10 * np.sin(angle) + rng.standard_normal((series, len(stamps)))
        histories = [(stamps[:WEEK], row[:WEEK]) for row in values[: min(series, 100)]]
        (models, states), learning = _timed(lambda h=histories: api.learn(h))
        lanes = np.arange(series) % len(histories)
        models, states = models.chosen(lanes), states.chosen(lanes)
        samples = [(stamps[WEEK:], row[WEEK:]) for row in values]
        _, seconds = _timed(lambda m=models, s=states, x=samples: api.advance(m, s, x))
        rate = series * steps / seconds
        matrix = np.zeros((steps, series))
        _, passes = _timed(lambda m=matrix: [np.add(m, 1.0, out=m) for _ in range(PASSES)])
        bound = series * steps / passes
        rows.append(
            (
                f"scores, {series} series",
                f"{rate / 1e6:.2f} M/s",
                f"{bound / 1e6:.0f} M/s in {PASSES} passes",
                f"{rate / bound:.2f}",
            )
        )
        per_series = learning / len(histories)
        rows.append(
            (f"learning a week of minutes, {len(histories)} series", f"{1e3 * per_series:.1f} ms/series", "", "")
        )
    y = rng.standard_normal(WEEK)
    model = sm.tsa.UnobservedComponents(y, "lltrend")
    _, theirs = _timed(lambda: model.filter([1.0, 1e-4, 1e-8]))
    stamps = START + MINUTE_MS * np.arange(2 * WEEK)
    models, states = api.learn([(stamps[:WEEK], y)])
    _, ours = _timed(lambda: api.advance(models, states, [(stamps[WEEK:], y)]))
    rows.append(
        (
            "one series, a week",
            f"{WEEK / ours / 1e6:.2f} M/s",
            f"{WEEK / theirs / 1e6:.2f} M/s statsmodels",
            f"{theirs / ours:.1f}",
        )
    )
    return rows


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the least of three times."""
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return result, best
