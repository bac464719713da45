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
}
OUTPUTS: Final = tuple(SIZES)


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
            return Known(np.array(words["mean"]), np.array(words["cov"]), words["timing"])
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
    outputs: tuple[str, ...] | None
    """None: the original route's filtered means."""
    loglike: Literal["full", "kfas"] = "full"
