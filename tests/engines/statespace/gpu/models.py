"""Random models of a batch, the series that they would produce with gaps, and the trend that spoils plain float32."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .plain import Answer, kalman

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """Models and series, the batch last as in the engine."""

    transition: Floats
    design: Floats
    obs_var: Floats
    intercept: Floats
    state_cov: Floats
    y: Floats  # [time, batch]
    mean: Floats
    cov: Floats

    def answers(self) -> list[Answer]:
        """What the plain filter says of each series."""
        return [kalman(*(array[..., b] for array in self)) for b in range(self.y.shape[1])]


def draw(seed: int, states: int, length: int, batch: int, *, missing: float = 0.2) -> Case:
    """Draw a stable model for each series, and a series that it could have produced."""
    rng = np.random.default_rng(seed)
    transition = rng.normal(size=(batch, states, states))
    transition *= (rng.uniform(0.3, 1.0, batch) / np.abs(np.linalg.eigvals(transition)).max(axis=1))[:, None, None]
    root, start = rng.normal(size=(2, batch, states, states))
    y = rng.normal(size=(length, batch)).cumsum(axis=0) * 0.3
    y[rng.uniform(size=y.shape) < missing] = np.nan
    return Case(
        transition=np.moveaxis(transition, 0, -1),
        design=rng.normal(size=(states, batch)),
        obs_var=rng.uniform(0.1, 2.0, batch),
        intercept=rng.normal(size=(states, batch)),
        state_cov=np.moveaxis(root @ root.swapaxes(1, 2), 0, -1),
        y=y,
        mean=rng.normal(size=(states, batch)),
        cov=np.moveaxis(start @ start.swapaxes(1, 2), 0, -1),
    )


def stiff_trend(seed: int, length: int, batch: int) -> Case:
    """A trend of third order, level to jerk, whose shocks are a millionth of what the observation errs by."""
    rng = np.random.default_rng(seed)
    dt = 0.1
    transition = np.array([[1, dt, dt**2 / 2, dt**3 / 6], [0, 1, dt, dt**2 / 2], [0, 0, 1, dt], [0, 0, 0, 1]])
    shock = np.array([dt**3 / 6, dt**2 / 2, dt, 1]) * 1e-3
    y = np.cumsum(rng.normal(size=(length, batch)), axis=0)
    y[rng.uniform(size=y.shape) < 0.1] = np.nan
    each = (1,) * batch
    return Case(
        transition=np.multiply.outer(transition, each),
        design=np.multiply.outer(np.array([1.0, 0, 0, 0]), each),
        obs_var=np.ones(batch),
        intercept=np.zeros((4, batch)),
        state_cov=np.multiply.outer(np.outer(shock, shock), each),
        y=y,
        mean=np.zeros((4, batch)),
        cov=np.multiply.outer(np.diag([1e4, 1e4, 1e4, 1e4]), each),
    )
