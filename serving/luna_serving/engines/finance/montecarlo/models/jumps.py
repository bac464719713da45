"""Lognormal jumps beside a diffusion: Merton's model over geometric Brownian motion, Bates' over Heston's.

Merton, "Option pricing when underlying stock returns are discontinuous", J. Financial Economics 3 (1976).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.special import pdtr

from luna_serving.engines.finance.montecarlo.models.diffusion import Diffusion
from luna_serving.engines.finance.montecarlo.models.heston import Heston
from luna_serving.engines.finance.montecarlo.models.moves import Move, State
from luna_serving.engines.finance.montecarlo.sampling.draws import Needs, Step


@lru_cache(maxsize=256)
def _counts(mean: float) -> Float[np.ndarray, " k"]:
    """Distribution function of a Poisson variable, up to where it is 1 in double precision."""
    # Beyond so many standard deviations less than 1e-17 is left.
    return np.asarray(pdtr(np.arange(int(mean + 12.0 * np.sqrt(mean) + 30.0)), mean))


@dataclass(frozen=True, slots=True)
class Jumps:
    """A diffusion of one asset whose price also jumps, by a factor J with log J normal; compensated in the drift."""

    diffusion: Diffusion | Heston
    intensity: float
    """Jumps a year, on average."""
    mean: float
    """Of log J."""
    deviation: float
    """Of log J."""
    periodic: bool = field(default=False, init=False)

    @property
    def assets(self) -> int:
        """See `Model`, as for the following."""
        return 1

    @property
    def rate(self) -> float:
        """Of the diffusion."""
        return self.diffusion.rate

    @property
    def needs(self) -> Needs:
        """Beside the diffusion's, a normal for the size of all jumps of a step, and a uniform for their number."""
        return Needs(self.diffusion.needs.normals + 1, 1)

    @property
    def nanoseconds(self) -> float:
        """Another normal, and a search."""
        return self.diffusion.nanoseconds + 45.0

    def begin(self, n: int) -> State:
        """Of the diffusion."""
        return self.diffusion.begin(n)

    def advance(self, state: State, dt: float, step: Step) -> Move:
        """Exact in law, as far as the diffusion is: sums of jumps are normal given their number."""
        own = Step(step.normals[:-1], step.uniforms[:0], step.auxiliary)
        move = self.diffusion.advance(state, dt, own)
        k = math.expm1(self.mean + 0.5 * self.deviation**2)
        diffused = move.diffused - self.intensity * k * dt
        number = np.searchsorted(_counts(self.intensity * dt), step.uniforms[0], side="right").astype(np.float64)
        jump = np.sqrt(number)
        jump *= self.deviation
        jump *= step.normals[-1]
        jump += self.mean * number
        state.logs = diffused + jump
        return Move(move.start, diffused, state.logs, move.variance, move.level)

    def martingales(self, expiry: float) -> Mapping[int, float]:
        """The drift is compensated."""
        return self.diffusion.martingales(expiry)
