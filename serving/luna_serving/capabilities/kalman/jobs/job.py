"""What travels from the edge to a Kalman replica: one call's series, and what to answer for them."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.output_sizes import SIZES
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import Algorithm

# means: the original route; the others are named after their routes.
Task = Literal["means", "filter", "smooth", "forecast"]
Precision = Literal["float64", "float32"]

# What an ordinary call holds at most: computed in a millisecond or two, and compiled before all else.
LIGHT_STATES: Final = 2
LIGHT_POINTS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Job:
    """One call's series under one model."""

    model: ModelSpec
    values: NDArray[np.float64]
    """All series one after the other: [points], or [points, m] where m > 1 things are observed; NaN where missing."""
    lengths: tuple[int, ...]
    task: Task = "means"
    outputs: tuple[str, ...] = ()
    """What to answer for each series; the original route answers one list."""
    loglike: Literal["full", "kfas"] = "full"
    steps: int = 0
    """How far to forecast."""
    level: float = 0.95
    """The share of futures that a forecast's interval holds."""
    precision: Precision | None = None
    """None: what suits the device."""
    algorithm: Algorithm | None = None
    """None: the engine chooses."""
    starts: tuple[Saved | None, ...] | None = None
    """Where each series goes on from; None: from the model's own start."""
    seconds: float = math.inf
    """How long it may take, from its arrival at the replica on."""

    def within(self, left_s: float) -> Self:
        """The job of a call that has so many seconds left."""
        return replace(self, seconds=max(0.0, left_s))

    @property
    def points(self) -> int:
        """Observations in the call."""
        return len(self.values)

    @property
    def longest(self) -> int:
        """Observations of the longest series; the steps of a forecast are none."""
        return max(self.lengths)

    @property
    def numbers(self) -> int:
        """How many numbers the answer holds, about."""
        model = self.model.build()
        points = self.steps * len(self.lengths) if self.task == "forecast" else len(self.values)
        states = len(self.lengths) * 2 * model.states**2 if "state" in self.outputs else 0
        sizes = (model.observed, model.states, model.shocks)
        return states + points * sum(SIZES[name](*sizes) for name in self.outputs)

    @property
    def heavy(self) -> bool:
        """Whether calls of small models should not wait for it."""
        return not is_light(self.model.build()) or len(self.values) > LIGHT_POINTS


def is_light(model: Model) -> bool:
    """Whether a model is one of those whose programs every replica compiles first."""
    return model.states <= LIGHT_STATES and model.observed == 1 and model.length is None
