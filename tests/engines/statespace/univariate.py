"""Models of one observed series as most tests write them: a vector for the design, a number for its variance."""

import numpy as np

from luna_serving.engines.statespace.model.initial import Diffuse, Initial
from luna_serving.engines.statespace.model.model import Model


def univariate(transition, design, obs_var: float, state_cov, initial: Initial | None = None) -> Model:
    return Model(
        transition=transition,
        design=np.asarray(design)[None],
        obs_cov=np.array([[obs_var]]),
        state_cov=state_cov,
        initial=initial or Diffuse(),
    )
