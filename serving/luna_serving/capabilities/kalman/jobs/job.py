"""The job of a call: its series and the outputs to answer. The edge sends it to a replica."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.output_sizes import SIZES
from luna_serving.engines.statespace.api.description import Algorithm, Model, Saved

# means is the original route; the others are named after their routes.
Task = Literal["means", "filter", "smooth", "forecast"]
Precision = Literal["float64", "float32"]
Form = Literal["json", "arrow", "npy"]

# Bounds of an ordinary call, which takes a millisecond or two and is compiled first.
LIGHT_STATES: Final = 2
LIGHT_POINTS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Job:
    """One call's series under one model."""

    model: ModelSpec
    values: NDArray[np.float64]
    """All series concatenated: [points], or [points, m] if m > 1 elements are observed; NaN where missing."""
    lengths: tuple[int, ...]
    task: Task = "means"
    outputs: tuple[str, ...] = ()
    """The outputs per series; the original route answers one list."""
    loglike: Literal["full", "kfas"] = "full"
    steps: int = 0
    """Steps to forecast."""
    level: float = 0.95
    """The probability of a forecast's interval."""
    precision: Precision | None = None
    """None: the default of the device."""
    algorithm: Algorithm | None = None
    """None: the engine chooses."""
    starts: tuple[Saved | None, ...] | None = None
    """The saved state from which each series resumes; None: the model's start."""
    form: Form = "json"
    """Of the answer."""
    seconds: float = math.inf
    """Seconds from its arrival at the replica to its deadline."""

    def within(self, left_s: float) -> Self:
        """The job for a call that has `left_s` seconds left."""
        return replace(self, seconds=max(0.0, left_s))

    @property
    def points(self) -> int:
        """Observations in the call."""
        return len(self.values)

    @property
    def longest(self) -> int:
        """Observations of the longest series, without the steps of a forecast."""
        return max(self.lengths)

    @property
    def numbers(self) -> int:
        """About how many numbers the answer has."""
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
