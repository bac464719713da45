"""Models with parameters to estimate: every kind of start, gaps, several observed, matrices that vary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from luna_serving.engines.statespace.fit.estimate import Task
from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.model.initial import Initial
from luna_serving.engines.statespace.model.model import Model


@dataclass(frozen=True)
class Case:
    kind: str
    fields: Mapping[str, Any]
    free: tuple[str, ...]
    y: np.ndarray
    initial: Initial | None = None

    def build(self, fields: Mapping[str, Any]) -> Model:
        return KINDS[self.kind](**fields, initial=self.initial)

    def task(self, **changes: Any) -> Task:
        return Task(self.kind, self.fields, self.build, self.free, **changes)


def walk(seed: int, periods: int, observed: int = 1, gaps: float = 0.0) -> np.ndarray:
    """A noisy random walk [T, m], some of it missing."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(periods, observed)).cumsum(axis=0) + rng.normal(size=(periods, observed))
    y[rng.random(y.shape) < gaps] = np.nan
    return y


def autoregression(seed: int, periods: int) -> np.ndarray:
    """y[t] = 1.2 y[t-1] - 0.5 y[t-2] + e [T, 1]."""
    rng = np.random.default_rng(seed)
    y = np.zeros(periods + 100)
    for t in range(2, len(y)):
        y[t] = 1.2 * y[t - 1] - 0.5 * y[t - 2] + rng.normal()
    return y[100:, None]
