"""Levels and slopes that walk at random."""

import numpy as np

from luna_serving.engines.statespace.kinds.fields import OBS_VAR, pointing_to
from luna_serving.engines.statespace.model.checks import variance
from luna_serving.engines.statespace.model.initial import Diffuse, Initial
from luna_serving.engines.statespace.model.model import Model


def local_level(*, obs_var: float, level_var: float, initial: Initial | None = None) -> Model:
    """A level that walks, seen through noise (Durbin & Koopman 2012, eq. 2.3). State: level."""
    obs = variance("/obs_var", obs_var)
    level = variance("/level_var", level_var)
    with pointing_to(OBS_VAR):
        return Model(
            transition=np.eye(1),
            design=np.ones((1, 1)),
            obs_cov=np.full((1, 1), obs),
            state_cov=np.full((1, 1), level),
            initial=initial or Diffuse(),
            state_names=("level",),
        )


def local_linear_trend(*, obs_var: float, level_var: float, trend_var: float, initial: Initial | None = None) -> Model:
    """A level with a slope, both of which walk (Durbin & Koopman 2012, eq. 3.2). State: level, trend."""
    obs = variance("/obs_var", obs_var)
    walks = [variance("/level_var", level_var), variance("/trend_var", trend_var)]
    with pointing_to(OBS_VAR):
        return Model(
            transition=np.array([[1.0, 1.0], [0.0, 1.0]]),
            design=np.array([[1.0, 0.0]]),
            obs_cov=np.full((1, 1), obs),
            state_cov=np.diag(walks),
            initial=initial or Diffuse(),
            state_names=("level", "trend"),
        )
