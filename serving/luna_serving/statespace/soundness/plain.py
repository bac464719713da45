"""Models that need no watching, and those that float64 cannot run in their own units."""

from typing import Final

import numpy as np

from luna_serving.statespace.model import Model
from luna_serving.statespace.prepared import prepare

# Variances that differ by less leave a single level, or a level with a slope, 10 digits whatever the data.
PLAIN_RANGE: Final = 1e10


def is_plain(model: Model) -> bool:
    """Whether the filter of a model never lacks digits: a level, or a position with a slope, with an exact start.

    All that it adds up is positive. Its smoother may lack digits: a fixed slope over 10,000 points is known 1e12 times
    better than from the first two.
    """
    kept: bool | None = model.derived.get("plain")
    if kept is None:
        kept = model.derived["plain"] = _is_plain(model)
    return kept


def _is_plain(model: Model) -> bool:
    n, start = model.states, model.start
    if model.length is not None or model.observed != 1 or n > 2 or (start.rank != n and (n > 1 or start.rank)):
        return False
    step = float(model.transition[0, -1])
    form = np.array([[1.0, step], [0.0, 1.0]])[:n, :n]
    noise = model.disturbance_cov
    if (model.transition != form).any() or (model.design != np.eye(1, n)).any() or step <= 0 or (noise < 0).any():
        return False
    if model.obs_cov[0, 0] <= 0:
        # Slopes are then differences of observations, however large those are.
        return False
    # As they are seen in the position after a step.
    sizes = np.array([*(np.diagonal(noise) * np.array([1.0, step**2])[:n]), *model.obs_cov[0], *np.diagonal(start.cov)])
    sizes = sizes[sizes > 0]
    return bool(len(sizes)) and float(sizes.max()) <= PLAIN_RANGE * float(sizes.min())


def lacks_units(model: Model) -> bool:
    """Whether directions of the diffuse start are so unlike in size that float64 must measure them in other units.

    What the diffuse phase answers of directions that are still open depends on their units: it is the model's to say.
    """
    return bool(model.start.rank) and prepare(model).scaled
