"""What rounding leaves of variances that are zero, so that they can be distinguished from others."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model

Floats = NDArray[np.float64]

# Relative to a state's usual variance: what rounding leaves where observations determine the state exactly. Usual is
# the median of its predictions, or what one shock brings into it if that is more; not a variance that the start alone
# makes large, beyond this multiple of the model's own noise.
ZERO_VARIANCE: Final = 1e-15
VAGUE: Final = 1e3
# Relative to what flows into a state from others: a variance below is zero, and the rounding of theirs.
KNOWN: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """What rounding leaves of variances that are zero, or nearly."""

    own: Floats  # [n], of a state that has a usual variance of its own
    flows: Floats  # [n], by what flows into it from other states

    @classmethod
    def of(cls, model: Model, predicted: Floats) -> "Floor":
        """The floor that follows from predicted covariances [T, n, n]."""
        usual = VAGUE * _usual_noise(model)
        often = np.median(np.abs(np.diagonal(predicted, axis1=1, axis2=2)), axis=0)
        often = np.minimum(often, usual)
        flow = reach(model, usually=True) ** 2
        shocks = np.median(np.diagonal(model.disturbance_cov, axis1=-2, axis2=-1).reshape(-1, model.states), axis=0)
        own = np.maximum(often, (flow * shocks).max(axis=1))
        return cls(ZERO_VARIANCE * own, ZERO_VARIANCE * (flow * often).max(axis=1))

    def under(self, variance: Floats) -> Floats:
        """The error allowed to variances [T, n] of any size."""
        known = variance <= KNOWN / ZERO_VARIANCE * self.flows
        floor: Floats = np.where(known, np.maximum(self.own, self.flows), self.own)
        return floor


def _usual_noise(model: Model) -> float:
    noise = np.diagonal(model.disturbance_cov, axis1=-2, axis2=-1).max(axis=-1)
    obs = np.diagonal(model.obs_cov, axis1=-2, axis2=-1).max(axis=-1)
    return max(float(np.median(noise)), float(np.median(obs)))


@once_per_model
def reach(model: Model, *, usually: bool = False) -> Floats:
    """How much of each state arrives in each other, by the strongest path through transitions [n, n].

    Of transitions that vary in time the largest count, or `usually` their medians: one long step does not make the
    precise variances after it look like zeros.
    """
    n = model.states
    sizes = np.abs(model.transition).reshape(-1, n, n)
    direct = np.median(sizes, axis=0) if usually else sizes.max(axis=0)
    most = max(1.0, float(direct.max()))
    found: Floats = np.maximum(direct, np.eye(n))
    for k in range(n):
        found = np.maximum(found, np.minimum(found[:, k : k + 1] * found[k], most))
    return found
