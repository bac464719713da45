"""How a model's state starts, before the first observation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.model.checks import LARGEST, ModelError, covariance, magnitude, vector
from luna_serving.engines.statespace.model.stationary import NoMomentsError, stationary_moments

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
    """Each block of states starts in its own way, independent of the others: (states, start).

    States are indices in any order, or how many come next after the part before. Every state is in one block. The
    moments of a stationary block, and "filtered" ones, are worked out from the block's own rows of the model: its
    states may not depend on those of other blocks, nor have shocks in common with another block of this sort. Shocks in
    common with a diffuse state do no harm: with an infinite variance no covariance matters.
    """

    parts: tuple[tuple[int | Sequence[int], "Initial"], ...]


# See `stationary.DOUBLINGS`.
LARGEST_EIGENVALUE: Final = 1 - 5e-11

Initial = Known | Diffuse | ApproximateDiffuse | Stationary | Blocks


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Moments of state[1] before y[1]: mean a, finite part P* and diffuse part P∞ = A A', A `[n, n]`."""

    mean: Floats
    cov: Floats
    diffuse: Floats
    rank: int
    filtered: tuple[Floats, Floats] | None = None
    """The caller's moments, where they are of one transition earlier: a long step rounds their digits away."""


def start(
    initial: Initial,
    transition: Floats,
    selection: Floats,
    state_cov: Floats,
    state_intercept: Floats,
    at: str = "/initial",
) -> Start:
    """Turn any start into the moments the filter carries; raise `ModelError` with pointers below `at`.

    T [n, n], R [n, r], Q [r, r] and c [n] are those of the first period.
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
            return _stationary(transition, selection, state_cov, state_intercept, at)
        case Blocks():
            return _blocks(initial.parts, transition, selection, state_cov, state_intercept, at)
    mean = vector(f"{at}/mean", initial.mean, n)
    cov = covariance(f"{at}/cov", initial.cov, n)
    given = None
    if initial.timing == "filtered":
        given = (mean, cov)
        mean = transition @ mean + state_intercept
        cov = transition @ cov @ transition.T + selection @ state_cov @ selection.T
        cov = (cov + cov.T) / 2
    elif initial.timing != "predicted":
        raise ModelError(f"{at}/timing", 'must be "predicted" or "filtered"')
    return Start(mean, cov, zeros, 0, given)


def _stationary(transition: Floats, selection: Floats, state_cov: Floats, state_intercept: Floats, at: str) -> Start:
    n = len(transition)
    try:
        moments = stationary_moments(transition, selection, state_cov, state_intercept)
    except NoMomentsError as cause:
        raise ModelError(at, _why_not(transition)) from cause
    largest = float(max(np.abs(moments.mean).max(), np.abs(moments.cov).max()))
    if not largest <= LARGEST:
        raise ModelError(at, f"has moments above {LARGEST:g}: measure the series in a larger unit")
    return Start(moments.mean, moments.cov, np.zeros((n, n)), 0)


def _why_not(transition: Floats) -> str:
    largest = float(np.abs(np.linalg.eigvals(transition)).max())
    if largest < LARGEST_EIGENVALUE:
        return (
            "has no stationary moments that float64 can hold: powers of the transition grow by hundreds of orders of "
            "magnitude before they decay; give a known start"
        )
    return (
        f"cannot be stationary: the transition's largest eigenvalue has size {largest:.10g}, not below 1; "
        'use a diffuse start, or "blocks" where only some of the states are stationary'
    )


def _blocks(
    parts: Sequence[tuple[int | Sequence[int], Initial]],
    transition: Floats,
    selection: Floats,
    state_cov: Floats,
    state_intercept: Floats,
    at: str,
) -> Start:
    n = len(transition)
    mean, cov, diffuse = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    rank = 0
    indices = _indices(parts, n, at)
    derived = [
        isinstance(each, Stationary) or (isinstance(each, Known) and each.timing == "filtered") for _, each in parts
    ]
    for number, (states, (_, initial)) in enumerate(zip(indices, parts, strict=True)):
        pointer = f"{at}/blocks/{number}"
        if derived[number]:
            apart = [(block, derived[place]) for place, block in enumerate(indices) if place != number]
            others = [state for block, _ in apart for state in block]
            alike = [state for block, by_itself in apart if by_itself for state in block]
            _refuse_dependent(states, others, transition, "depends on", pointer)
            _refuse_dependent(states, alike, selection @ state_cov @ selection.T, "has shocks in common with", pointer)
        square = np.ix_(states, states)
        each = start(initial, transition[square], selection[states], state_cov, state_intercept[states], pointer)
        mean[states], cov[square] = each.mean, each.cov
        # The columns of A that are not zero come first: `rank` counts them.
        diffuse[states, rank : rank + each.rank] = each.diffuse[:, : each.rank]
        rank += each.rank
    return Start(mean, cov, diffuse, rank)


def _indices(parts: Sequence[tuple[int | Sequence[int], object]], n: int, at: str) -> list[list[int]]:
    """The states of each part, checked to be all n, each once."""
    found: list[list[int]] = []
    owner: dict[int, int] = {}
    for number, (part, _) in enumerate(parts):
        states = list(range(len(owner), len(owner) + part)) if isinstance(part, int) else list(part)
        if not states:
            raise ModelError(f"{at}/blocks/{number}/states", "must name at least one state")
        for i, state in enumerate(states):
            pointer = f"{at}/blocks/{number}/states/{i}"
            if not 0 <= state < n:
                raise ModelError(pointer, f"must be a state of the model, from 0 to {n - 1}; got {state}")
            if state in owner:
                raise ModelError(pointer, f"names state {state}, which block {owner[state]} has already")
            owner[state] = number
        found.append(states)
    missing = [str(state) for state in range(n) if state not in owner]
    if missing:
        raise ModelError(f"{at}/blocks", f"must name each of {n} states once; left out: {', '.join(missing)}")
    return found


def _refuse_dependent(states: Sequence[int], others: Sequence[int], matrix: Floats, what: str, at: str) -> None:
    """Refuse moments that the block's own rows do not give."""
    rows, columns = np.nonzero(matrix[np.ix_(states, others)])
    if len(rows):
        raise ModelError(
            f"{at}/states",
            f"cannot start by itself: state {states[rows[0]]} {what} state {others[columns[0]]} of another block. Put "
            "both into one block, or give this one a diffuse start or a known one of timing predicted",
        )
