"""How a model's state starts, before the first observation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_discrete_lyapunov

from luna_serving.statespace.checks import ModelError, covariance, magnitude, vector

Timing = Literal["predicted", "filtered"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """Moments of the state: mean `[n]` and covariance `[n, n]`.

    `timing="predicted"`: of state[1] before y[1] (statsmodels, KFAS, pykalman, dynamax).
    `timing="filtered"`: one transition earlier (filterpy); the filter predicts once before y[1], with the first
    transition where that varies.
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


@dataclass(frozen=True, slots=True)
class Stationary:
    """The unconditional moments: a = T a + c and P = T P T' + R Q R' (Durbin & Koopman 2012, eq. 5.37)."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Each run of states starts in its own way, independent of the others: (number of states, start), in order.

    A stationary block must not depend on states outside it.
    """

    parts: tuple[tuple[int, "Known | Diffuse | ApproximateDiffuse | Stationary"], ...]


UNTELLABLE = (
    "cannot be told in float64: the transition lets states grow by many orders before they decay; give a known start"
)

Initial = Known | Diffuse | ApproximateDiffuse | Stationary | Blocks


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Moments of state[1] before y[1]: mean a, finite part P* and diffuse part P∞ = A A', A `[n, n]`."""

    mean: Floats
    cov: Floats
    diffuse: Floats
    rank: int


def start(
    initial: Initial, transition: Floats, state_cov: Floats, state_intercept: Floats, at: str = "/initial"
) -> Start:
    """Turn any start into the moments the filter carries; raise `ModelError` with pointers below `at`.

    `state_cov` is R Q R' [n, n].
    """
    n = len(transition)
    zeros = np.zeros((n, n))
    match initial:
        case Diffuse():
            # A = I: the scale of the diffuse part shifts the log-likelihood, and statsmodels and KFAS take I.
            return Start(np.zeros(n), zeros, np.eye(n), n)
        case ApproximateDiffuse():
            variance = magnitude(f"{at}/variance", initial.variance)
            if variance <= 0:
                raise ModelError(f"{at}/variance", "must be above zero; 1e6 times the data's variance is usual")
            return Start(np.zeros(n), variance * np.eye(n), zeros, 0)
        case Stationary():
            return _stationary(transition, state_cov, state_intercept, at)
        case Blocks():
            return _blocks(initial.parts, transition, state_cov, state_intercept, at)
    mean = vector(f"{at}/mean", initial.mean, n)
    cov = covariance(f"{at}/cov", initial.cov, n)
    if initial.timing == "filtered":
        mean = transition @ mean + state_intercept
        cov = transition @ cov @ transition.T + state_cov
        cov = (cov + cov.T) / 2
    elif initial.timing != "predicted":
        raise ModelError(f"{at}/timing", 'must be "predicted" or "filtered"')
    return Start(mean, cov, zeros, 0)


def _stationary(transition: Floats, state_cov: Floats, state_intercept: Floats, at: str) -> Start:
    n = len(transition)
    largest = float(np.abs(np.linalg.eigvals(transition)).max())
    # Nearer to one, the moments have no digits left: the error grows as 1 / (1 - largest).
    if not largest < 1 - 1e-10:
        raise ModelError(
            at,
            f"cannot be stationary: the transition's largest eigenvalue has size {largest:.10g}, not below 1; "
            "use a diffuse start",
        )
    try:
        mean = np.asarray(np.linalg.solve(np.eye(n) - transition, state_intercept), np.float64)
        cov: Floats = solve_discrete_lyapunov(transition, state_cov)
    except (np.linalg.LinAlgError, ValueError) as cause:
        raise ModelError(at, UNTELLABLE) from cause
    cov = (cov + cov.T) / 2
    left = np.abs(cov - transition @ cov @ transition.T - state_cov).max(initial=0.0)
    if not (np.isfinite(mean).all() and left <= 1e-6 * np.abs(state_cov).max(initial=0.0)):
        raise ModelError(at, UNTELLABLE)
    try:
        cov = covariance(at, cov, n)
    except ModelError as cause:
        raise ModelError(at, UNTELLABLE) from cause
    return Start(mean, cov, np.zeros((n, n)), 0)


def _blocks(
    parts: Sequence[tuple[int, Known | Diffuse | ApproximateDiffuse | Stationary]],
    transition: Floats,
    state_cov: Floats,
    state_intercept: Floats,
    at: str,
) -> Start:
    n = len(transition)
    if sum(size for size, _ in parts) != n:
        raise ModelError(at, f"must have blocks of {n} states in all; got {[size for size, _ in parts]}")
    mean, cov, diffuse = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    rank = first = 0
    for number, (size, initial) in enumerate(parts):
        here = slice(first, first + size)
        each = start(
            initial, transition[here, here], state_cov[here, here], state_intercept[here], f"{at}/parts/{number}"
        )
        mean[here], cov[here, here] = each.mean, each.cov
        # The columns of A that are not zero come first: `rank` counts them.
        diffuse[here, rank : rank + each.rank] = each.diffuse[:, : each.rank]
        rank, first = rank + each.rank, first + size
    return Start(mean, cov, diffuse, rank)
