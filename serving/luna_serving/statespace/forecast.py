"""Forecasts from where the filter stopped: a closed recursion, so any horizon runs without a compile.

Durbin & Koopman (2012) section 4.11: forecasting is filtering on with every observation missing. Pure NumPy,
all series of a batch side by side; a step costs the interpreter some 20 µs whatever the batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.models import Model
from luna_serving.statespace.recursion import DIFFUSE_TOLERANCE

Floats = NDArray[np.float64]


class Origin(NamedTuple):
    """Moments of the state one step after the last observation: P* + κ A A', κ → ∞, as the filter carries them."""

    mean: Floats  # [series, n]
    cov: Floats  # [series, n, n]
    diffuse: Floats  # A [series, n, n], zero once the diffuse phase is over


class Forecast(NamedTuple):
    """Row h is h + 1 steps after the last observation."""

    mean: Floats  # [series, h]
    variance: Floats  # [series, h]; +inf while the forecast is diffuse
    state: Floats  # [series, h, n]
    state_cov: Floats  # [series, h, n, n], the finite part
    state_diffuse: NDArray[np.bool_]  # [series, h, n]
    finite: NDArray[np.bool_]  # [series, h]; False: overflow, which the +inf of a diffuse forecast is not


def forecast(models: Sequence[Model], origin: Origin, steps: int) -> Forecast:
    """Forecast every series `steps` ahead; an overflow comes out as inf or NaN, without a warning."""
    count, n = origin.mean.shape
    transition = np.array([model.transition for model in models])
    design = np.array([model.design for model in models])
    state_cov = np.array([model.state_cov for model in models])
    mean, cov, diffuse = origin
    means, covs = np.empty((count, steps, n)), np.empty((count, steps, n, n))
    signals, state_diffuse = np.zeros((count, steps), bool), np.zeros((count, steps, n), bool)
    turned, any_diffuse = transition.swapaxes(1, 2), bool(diffuse.any())
    with np.errstate(over="ignore", invalid="ignore"):
        for h in range(steps):
            if h:
                mean = (transition @ mean[:, :, None])[:, :, 0]
                cov = transition @ cov @ turned + state_cov
                cov = (cov + cov.swapaxes(1, 2)) / 2
            means[:, h], covs[:, h] = mean, cov
            if any_diffuse:
                diffuse = transition @ diffuse if h else diffuse
                signals[:, h], state_diffuse[:, h] = _still_diffuse(design, diffuse)
        observed = np.einsum("bi,bhi->bh", design, means)
        variance = np.einsum("bi,bhij,bj->bh", design, covs, design) + np.array([[model.obs_var] for model in models])
    finite = np.isfinite(observed) & np.isfinite(variance)
    finite &= np.isfinite(means).all(axis=2) & np.isfinite(covs).all(axis=(2, 3))
    return Forecast(observed, np.where(signals, np.inf, variance), means, covs, state_diffuse, finite)


def _still_diffuse(design: Floats, factor: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the observation [series] and each state [series, n] have an infinite variance, as the filter judges."""
    signal = (design[:, None] @ factor)[:, 0]
    rows = (factor**2).sum(axis=2)
    least = DIFFUSE_TOLERANCE**2 * rows.sum(axis=1)
    return (signal**2).sum(axis=1) > least * (design**2).sum(axis=1), rows > least[:, None]
