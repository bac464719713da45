"""Geometric Brownian motion, exact at any step: one asset, or several with correlated increments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.models.moves import Move, State
from luna_serving.engines.finance.montecarlo.sampling.draws import Needs, Step


@dataclass(frozen=True, slots=True)
class Diffusion:
    """dS_i = (r - q_i) S_i dt + sigma_i S_i dW_i, with dW_i dW_j = rho_ij dt."""

    spots: tuple[float, ...]
    volatilities: tuple[float, ...]
    yields: tuple[float, ...]
    rate: float
    factor: tuple[tuple[float, ...], ...] = ((1.0,),)
    """Lower triangular, with `factor factor' = rho`."""
    periodic: bool = field(default=False, init=False)

    @property
    def assets(self) -> int:
        """See `Model`, as for the following."""
        return len(self.spots)

    @property
    def needs(self) -> Needs:
        """A normal for each asset."""
        return Needs(self.assets, 0)

    @property
    def nanoseconds(self) -> float:
        """Mostly the normals."""
        return 15.0 * self.assets + 0.4 * self.assets**2

    def begin(self, n: int) -> State:
        """All at the spots."""
        return State(np.repeat(np.log(np.asarray(self.spots))[:, None], n, axis=1))

    def advance(self, state: State, dt: float, step: Step) -> Move:
        """Exact."""
        start = state.logs
        end = np.empty_like(start)
        for i, volatility in enumerate(self.volatilities):
            deviation = volatility * math.sqrt(dt)
            np.multiply(step.normals[0], deviation * self.factor[i][0], out=end[i])
            for j in range(1, i + 1):
                if self.factor[i][j]:
                    end[i] += (deviation * self.factor[i][j]) * step.normals[j]
            end[i] += (self.rate - self.yields[i] - 0.5 * volatility**2) * dt
            end[i] += start[i]
        state.logs = end
        return Move(start, end, end, self.volatilities[0] ** 2 * dt)

    def martingales(self, expiry: float) -> Mapping[int, float]:
        """S_i exp(-q_i T)."""
        return {i: s * math.exp(-q * expiry) for i, (s, q) in enumerate(zip(self.spots, self.yields, strict=True))}

    def covariance(self) -> Float[np.ndarray, "assets assets"]:
        """Of the logarithms, per year."""
        f = np.asarray(self.factor)
        s = np.asarray(self.volatilities)
        out: Float[np.ndarray, "assets assets"] = (f @ f.T) * np.outer(s, s)
        return out
