"""How a model's state starts, before the first observation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.statespace.checks import ModelError, covariance, magnitude, vector

Timing = Literal["predicted", "filtered"]


@dataclass(frozen=True, slots=True)
class Known:
    """Moments of the state: mean `[n]` and covariance `[n, n]`.

    `timing="predicted"`: of state[1] before y[1] (statsmodels, KFAS, pykalman, dynamax).
    `timing="filtered"`: one transition earlier (filterpy); the filter predicts once before y[1].
    """

    mean: ArrayLike
    cov: ArrayLike
    timing: Timing = "predicted"


@dataclass(frozen=True, slots=True)
class Diffuse:
    """Exact diffuse: nothing is known of any state (Durbin & Koopman 2012, ch. 5). The default start."""


@dataclass(frozen=True, slots=True)
class ApproximateDiffuse:
    """Mean zero and a large variance on every state. A stand-in for `Diffuse` when a peer's numbers matter."""

    variance: float = 1e6


Initial = Known | Diffuse | ApproximateDiffuse


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Moments of state[1] before y[1]: mean a, finite part P* and diffuse part P∞ = A A', A `[n, n]`."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    diffuse: NDArray[np.float64]
    rank: int


def start(
    initial: Initial, transition: NDArray[np.float64], state_cov: NDArray[np.float64], at: str = "/initial"
) -> Start:
    """Turn any start into the moments the filter carries; raise `ModelError` with pointers below `at`."""
    n = len(transition)
    zeros = np.zeros((n, n))
    if isinstance(initial, Diffuse):
        # A = I: the scale of the diffuse part shifts the log-likelihood, and statsmodels and KFAS take I.
        return Start(np.zeros(n), zeros, np.eye(n), n)
    if isinstance(initial, ApproximateDiffuse):
        variance = magnitude(f"{at}/variance", initial.variance)
        if variance <= 0:
            raise ModelError(f"{at}/variance", "must be above zero; 1e6 times the data's variance is usual")
        return Start(np.zeros(n), variance * np.eye(n), zeros, 0)
    mean = vector(f"{at}/mean", initial.mean, n)
    cov = covariance(f"{at}/cov", initial.cov, n)
    if initial.timing == "filtered":
        mean = transition @ mean
        cov = transition @ cov @ transition.T + state_cov
        cov = (cov + cov.T) / 2
    elif initial.timing != "predicted":
        raise ModelError(f"{at}/timing", 'must be "predicted" or "filtered"')
    return Start(mean, cov, zeros, 0)
