"""The decisions of a diffuse phase: whether an observation meets what is still unknown is no matter of size."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.model.observations import collapsed_rows_of
from luna_serving.engines.statespace.running.prepared import prepare

Floats = NDArray[np.float64]

# Of a diffuse direction's terms: a signal below the first has lost more than half of float64's digits; one below the
# second is the rounding of none.
FAINT: Final = 1e-6
NO_SIGNAL: Final = 1e-14


def tells_apart(model: Model, y: Floats, nobs_diffuse: int) -> bool:
    """Whether the diffuse phase [periods] knows signals from rounding: none lies between, or is faint."""
    if not model.start.rank or not nobs_diffuse:
        return True
    k = prepare(model).rows
    rows = collapsed_rows_of(model, y[:nobs_diffuse].reshape(-1, model.observed), 0)
    factor, rank = model.start.diffuse.copy(), model.start.rank
    for t, value in enumerate(rows.y):
        design = rows.design[t]
        signal = design @ factor
        size = np.abs(design) @ np.abs(factor)
        if not np.isnan(value) and rank:
            largest = float(np.abs(signal).max())
            if largest > NO_SIGNAL * float(size.max()):
                if largest < FAINT * float(size.max()):
                    return False
                gain = factor @ signal / (signal @ signal)
                kept = factor - np.outer(gain, signal)
                before = np.abs(factor).max(axis=1)
                kept[np.abs(kept).max(axis=1) <= 1e-13 * before] = 0.0
                factor, rank = kept, rank - 1
        if t % k == k - 1:
            transition = model.transition_at(t // k)
            moved = transition @ factor
            terms = np.abs(transition) @ np.abs(factor)
            moved[np.abs(moved) <= NO_SIGNAL * terms] = 0.0
            factor = moved
    return True
