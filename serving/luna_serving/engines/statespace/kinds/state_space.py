"""Any model, by its matrices."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Diffuse, Initial
from luna_serving.engines.statespace.model.model import Model


def state_space(
    *,
    transition: ArrayLike,
    design: ArrayLike,
    obs_cov: ArrayLike,
    state_cov: ArrayLike,
    selection: ArrayLike | None = None,
    obs_intercept: ArrayLike | None = None,
    state_intercept: ArrayLike | None = None,
    initial: Initial | None = None,
) -> Model:
    """The model of these matrices; each may have a leading axis of periods, and then all of those cover as many.

    Short forms, where nothing else can be meant: a number is a matrix or a vector of one element, and a flat
    `design` is one row (one thing is observed). A flat covariance is refused: it could be a diagonal or a mistake.
    """
    optional = {"selection": selection, "obs_intercept": obs_intercept, "state_intercept": state_intercept}
    given: dict[str, Any] = {
        name: _numbers(f"/{name}", value, 2 if name == "selection" else 1)
        for name, value in optional.items()
        if value is not None
    }
    row = _numbers("/design", design, 2)
    return Model(
        transition=_numbers("/transition", transition, 2),
        design=row[None] if row.ndim == 1 else row,
        obs_cov=_numbers("/obs_cov", obs_cov, 2),
        state_cov=_numbers("/state_cov", state_cov, 2),
        initial=initial or Diffuse(),
        **given,
    )


def _numbers(pointer: str, value: ArrayLike, rank: int) -> NDArray[np.float64]:
    """An array; a number becomes one of `rank` axes."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise ModelError(pointer, "must be a list of rows of numbers, all of the same length") from cause
    return array.reshape((1,) * rank) if array.ndim == 0 else array
