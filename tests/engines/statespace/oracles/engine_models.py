"""The engine's own matrices as an exact system: its float64 entries are taken as they are."""

from dataclasses import replace
from typing import Any

import numpy as np

from luna_serving.engines.statespace.model.model import Model

from .matrices import Matrix, matrix, number, precisely, symmetric
from .system import System, started
from .wire_models import built


@precisely()
def system_of_engine(model: Model, words: dict[str, Any]) -> System:
    """The engine's transition, design and noise with the start that the words ask for, solved for them exactly."""
    bare, starts = built(words)
    noise = [symmetric(each) for each in _over_time(model.disturbance_cov)]
    own = replace(
        bare,
        transition=_over_time(model.transition),
        design=_over_time(model.design),
        noise=noise,
        intercept=matrix(model.state_intercept.reshape(-1, 1)),
        obs_var=number(float(model.obs_cov[0, 0])),
    )
    return started(own, starts)


def _over_time(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[Matrix]:
    return [matrix(array)] if array.ndim == 2 else [matrix(each) for each in array]
