"""Heston's stochastic volatility by the quadratic-exponential scheme with martingale correction (QE-M).

Andersen, "Simple and efficient simulation of the Heston stochastic volatility model", J. Comp. Finance 11 (2008),
sections 3.2 and 4.3; letters as there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from luna_serving.engines.finance.montecarlo.models.moves import Move, State
from luna_serving.engines.finance.montecarlo.sampling.draws import Needs, Step

PSI_C: Final = 1.5


@dataclass(frozen=True, slots=True)
class Heston:
    """dS = (r - q) S dt + sqrt(v) S dW, dv = kappa (theta - v) dt + sigma sqrt(v) dB, dW dB = rho dt."""

    spot: float
    rate: float
    dividend_yield: float
    v0: float
    kappa: float
    theta: float
    sigma: float
    rho: float
    periodic: bool = field(default=False, init=False)

    @property
    def assets(self) -> int:
        """See `Model`, as for the following."""
        return 1

    @property
    def needs(self) -> Needs:
        """The variance's normal, then the asset's."""
        return Needs(2, 0)

    @property
    def nanoseconds(self) -> float:
        """Two normals, and the scheme."""
        return 75.0

    def begin(self, n: int) -> State:
        """All at the spot and `v0`."""
        return State(np.full((1, n), math.log(self.spot)), np.full(n, self.v0))

    def advance(self, state: State, dt: float, step: Step) -> Move:
        """One step of QE-M, with gamma_1 = gamma_2 = 1/2."""
        v = state.variance
        assert v is not None  # noqa: S101  `begin` makes it
        rho, sigma, kappa = self.rho, self.sigma, self.kappa
        k2 = 0.5 * dt * (kappa * rho / sigma - 0.5) + rho / sigma
        k3 = k4 = 0.5 * dt * (1.0 - rho * rho)
        following, correction = self._variance(v, dt, step.normals[0], k2 + 0.5 * k4)
        # K0* = -log E[exp(A v')] - (K1 + K3 / 2) v, so that the discounted price is a martingale on the grid; K1 v
        # of the step itself cancels.
        end = following * k2
        end -= correction
        end -= (0.5 * k3) * v
        total = v + following
        total *= k3
        end += np.sqrt(total) * step.normals[1]
        end += (self.rate - self.dividend_yield) * dt
        start = state.logs
        end = end[None] + start
        state.logs, state.variance = end, following
        return Move(start, end, end, 0.5 * dt * (v + following), following)

    def _variance(
        self, v: Float[np.ndarray, " n"], dt: float, z: Float[np.ndarray, " n"], a_: float
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """The variance at the end, and log E[exp(A v')] given v, for A = `a_`."""
        e = math.exp(-self.kappa * dt)
        left = -math.expm1(-self.kappa * dt)
        c1 = self.sigma**2 * e / self.kappa * left
        c2 = self.theta * self.sigma**2 / (2.0 * self.kappa) * left**2
        m = v * e
        m += self.theta * left
        # The floors are for a variance that is 0 for good, or certain.
        psi = np.maximum((c1 * v + c2) / np.maximum(m * m, 1e-300), 1e-12)
        # The quadratic form, on all paths: where psi is above its bound, `b2` is held at a value that is not used.
        inverse = 2.0 / np.minimum(psi, PSI_C)
        b2 = inverse - 1.0 + np.sqrt(inverse * (inverse - 1.0))
        a = m / (1.0 + b2)
        b = np.sqrt(b2)
        following = b + z
        following *= following
        following *= a
        # (29): finite for A < 1 / (2 a); beyond, the moment does not exist, and the step is too long.
        scaled = 1.0 - (2.0 * a_) * a
        np.maximum(scaled, 1e-12, out=scaled)
        correction = (a_ * b2 * a) / scaled - 0.5 * np.log(scaled)
        (tail,) = np.nonzero(psi > PSI_C)
        if tail.size:
            p = (psi[tail] - 1.0) / (psi[tail] + 1.0)
            beta = (1.0 - p) / m[tail]
            u = ndtr(-z[tail])
            # 1 - U is as uniform as U, and exact where the logarithm needs it.
            following[tail] = np.where(u >= 1.0 - p, 0.0, np.log((1.0 - p) / np.maximum(u, 1e-300)) / beta)
            correction[tail] = np.log(p + beta * (1.0 - p) / np.maximum(beta - a_, 1e-12))
        return following, correction

    def martingales(self, expiry: float) -> Mapping[int, float]:
        """The discounted price is a martingale on the grid, by the correction."""
        return {0: self.spot * math.exp(-self.dividend_yield * expiry)}
