"""What travels from the ingress to a Kalman replica, and the model that it names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.initial import ApproximateDiffuse, Diffuse, Initial, Known
from luna_serving.statespace.models import KINDS, Model

# Numbers a point of an n-state model, for each output; zero: one number a series.
SIZES: Final[dict[str, Callable[[int], int]]] = {
    "filtered_state": lambda n: n,
    "filtered_state_cov": lambda n: n * n,
    "predicted_state": lambda n: n,
    "predicted_state_cov": lambda n: n * n,
    "forecasts": lambda _: 1,
    "forecast_error": lambda _: 1,
    "forecast_error_cov": lambda _: 1,
    "standardized_forecast_error": lambda _: 1,
    "loglike": lambda _: 0,
    "loglike_obs": lambda _: 1,
    "nobs_diffuse": lambda _: 0,
    "smoothed_state": lambda n: n,
    "smoothed_state_cov": lambda n: n * n,
    "mean": lambda _: 1,
    "variance": lambda _: 1,
    "lower": lambda _: 1,
    "upper": lambda _: 1,
}
FORECASTS: Final = ("mean", "variance", "lower", "upper")
SMOOTHED: Final = ("smoothed_state", "smoothed_state_cov")
FILTERED: Final = tuple(name for name in SIZES if name not in {*FORECASTS, *SMOOTHED})

# means: the original route; the others are named after their routes.
Task = Literal["means", "filter", "smooth", "forecast"]


@dataclass(frozen=True, slots=True)
class ModelReference:
    """One of the account's stored models."""

    name: str
    version: int | None = None
    """None asks for the latest."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as plain, hashable values: cheap to send, built once on each side."""

    kind: str
    parameters: tuple[tuple[str, Any], ...]
    initial: tuple[tuple[str, Any], ...]

    def build(self) -> Model:
        """Build the model.

        Raises:
            ModelError: a parameter is out of its range; points to it.
        """
        return _build(self)


@lru_cache(maxsize=1024)
def _build(spec: ModelSpec) -> Model:
    return KINDS[spec.kind](**dict(spec.parameters), initial=_initial(dict(spec.initial)))


def _initial(words: dict[str, Any]) -> Initial:
    match words.pop("kind"):
        case "known":
            # As they came: Known's own checks name a ragged list by its field, where np.array would only raise.
            return Known(words["mean"], words["cov"], words["timing"])
        case "approximate_diffuse":
            return ApproximateDiffuse(words["variance"])
        case _:
            return Diffuse()


@dataclass(frozen=True, slots=True)
class Job:
    """One call's series under one model."""

    model: ModelSpec
    values: NDArray[np.float64]
    """All series one after the other; NaN where missing."""
    lengths: tuple[int, ...]
    task: Task = "means"
    outputs: tuple[str, ...] = ()
    """What to answer for each series; the original route answers one list."""
    loglike: Literal["full", "kfas"] = "full"
    steps: int = 0
    """How far to forecast."""
    level: float = 0.95
    """The share of futures that a forecast's interval holds."""

    @property
    def numbers(self) -> int:
        """How many numbers the answer holds, about."""
        states = self.model.build().states
        points = self.steps * len(self.lengths) if self.task == "forecast" else len(self.values)
        return points * sum(SIZES[name](states) for name in self.outputs)
