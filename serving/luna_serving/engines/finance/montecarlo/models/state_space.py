"""Prices of a linear Gaussian state-space model: what it observes are log prices, or log returns of a period.

The letters are those of `engines.statespace.model.model` (Durbin and Koopman 2012, section 3.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move, State
from luna_serving.engines.finance.montecarlo.sampling.draws import Needs, Step
from luna_serving.engines.statespace.api.description import Model as Matrices
from luna_serving.engines.statespace.api.description import pinned


def root(covariance: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """A with A A' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    out: Float[np.ndarray, "n n"] = vectors * np.sqrt(np.maximum(values, 0.0))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class StateSpace:
    """Assets are the elements of the observation."""

    matrices: Matrices
    initial_state: Float[np.ndarray, " n"]
    """Of the first period; NaN where it is drawn from the model's start."""
    spots: tuple[float, ...]
    returns: bool
    """Whether observations are log returns; else log prices."""
    rate: float = 0.0
    periodic: bool = field(default=True, init=False)

    @property
    def assets(self) -> int:
        """See `Model`, as for the following."""
        return self.matrices.observed

    @property
    def needs(self) -> Needs:
        """The start's or the transition's normals, then those of the observation."""
        return Needs(max(self.matrices.states, self.matrices.shocks) + self.matrices.observed, 0)

    @property
    def nanoseconds(self) -> float:
        """Normals, and products with the matrices."""
        n = self.matrices.states
        return 16.0 * self.needs.normals + 2.0 * n * (n + self.matrices.observed)

    def begin(self, n: int) -> State:
        """At the spots, before the first period."""
        return State(np.repeat(np.log(np.asarray(self.spots))[:, None], n, axis=1))

    def advance(self, state: State, dt: float, step: Step) -> Move:
        """One period. einsum without `optimize` has one order of additions, whatever BLAS there is."""
        del dt
        m = self.matrices
        n = m.states
        if state.own is None:
            first = pinned(m.start, self.initial_state)
            x = first.mean[:, None] + np.einsum("ij,jn->in", root(first.cov), step.normals[:n])
            state.own = np.concatenate([np.zeros((1, x.shape[1])), x])
        else:
            t = int(state.own[0, 0]) - 1
            shocks = np.einsum("ij,jn->in", root(_at(m.state_cov, t, 2)), step.normals[: m.shocks])
            x = np.einsum("ij,jn->in", _at(m.transition, t, 2), state.own[1:])
            x += np.einsum("ij,jn->in", _at(m.selection, t, 2), shocks)
            x += _at(m.state_intercept, t, 1)[:, None]
            state.own[1:] = x
        t = int(state.own[0, 0])
        noise = step.normals[-m.observed :]
        y = np.einsum("ij,jn->in", _at(m.design, t, 2), x) + np.einsum("ij,jn->in", root(_at(m.obs_cov, t, 2)), noise)
        y += _at(m.obs_intercept, t, 1)[:, None]
        state.own[0] += 1.0
        start = state.logs
        state.logs = start + y if self.returns else y
        return Move(start, state.logs, state.logs, 0.0)

    def martingales(self, expiry: float) -> Mapping[int, float]:
        """Not known: the model is not risk-neutral."""
        del expiry
        return {}


def _at(matrix: Float[np.ndarray, "..."], t: int, dimensions: int) -> Float[np.ndarray, "..."]:
    """Of period t, where a matrix varies in time."""
    out: Float[np.ndarray, ...] = matrix if matrix.ndim == dimensions else matrix[t]
    return out
