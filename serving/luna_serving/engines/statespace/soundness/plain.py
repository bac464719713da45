"""Models that need no watching, and those that float64 cannot run in their own units."""

from typing import Final

import numpy as np

from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.running.prepared import prepare

# Variances that differ by less leave a single level, or a level with a slope, 10 digits; under a known start, which
# data may contradict, they must be nearer.
PLAIN_RANGE: Final = 1e10
KNOWN_RANGE: Final = 1e5
# The correlation of a known start beyond which a position and its slope may cancel.
CORRELATED: Final = 0.9


@once_per_model
def is_plain(model: Model) -> bool:
    """Whether the filter of a model never lacks digits: a level, or a position with a slope, with an exact start.

    All that it adds up is positive. Its smoother may lack digits: a fixed slope over 10,000 points is known 1e12 times
    better than from the first two.
    """
    n, start = model.states, model.start
    if model.length is not None or model.observed != 1 or n > 2 or start.rank not in {0, n}:
        return False
    step = float(model.transition[0, -1])
    form = np.array([[1.0, step], [0.0, 1.0]])[:n, :n]
    noise = model.disturbance_cov
    if (model.transition != form).any() or (model.design != np.eye(1, n)).any() or step <= 0 or (noise < 0).any():
        return False
    if model.obs_cov[0, 0] <= 0:
        # Slopes are then differences of observations, however large those are.
        return False
    if n == 2 and abs(start.cov[0, 1]) > CORRELATED * np.sqrt(start.cov[0, 0] * start.cov[1, 1]):
        return False
    # As they are seen in the position after a step.
    seen = np.array([1.0, step**2])[:n]
    sizes = np.array([*(np.diagonal(noise) * seen), *model.obs_cov[0], *(np.diagonal(start.cov) * seen)])
    sizes = sizes[sizes > 0]
    most = PLAIN_RANGE if start.rank else KNOWN_RANGE
    return bool(len(sizes)) and float(sizes.max()) <= most * float(sizes.min())


def lacks_units(model: Model) -> bool:
    """Whether directions of the diffuse start are so unlike in size that float64 must measure them in other units.

    What the diffuse phase answers of directions that are still open depends on their units: it is the model's to say.
    """
    return bool(model.start.rank) and prepare(model).scaled
