"""Forecasts from where the filter stopped: a closed recursion, so any horizon runs without a compile.

Durbin & Koopman (2012) section 4.11: forecasting is filtering on with every observation missing. Pure NumPy,
all series of a batch side by side; a step costs the interpreter some 20 µs whatever the batch.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.recursions.recursion import DIFFUSE_TOLERANCE
from luna_serving.engines.statespace.results.saved import Saved

Floats = NDArray[np.float64]


class Origin(NamedTuple):
    """Moments of the state one step after the last observation: P* + κ A A', κ → ∞, as the filter carries them."""

    mean: Floats  # [series, n]
    cov: Floats  # [series, n, n]
    diffuse: Floats  # A [series, n, n], zero once the diffuse phase is over
    period: int  # of the first step, the same for all where matrices vary in time

    @classmethod
    def of(cls, saved: Sequence[Saved | None]) -> Self:
        """The last states of series, each filtered in full."""
        known = [each for each in saved if each is not None]
        return cls(
            np.array([each.mean for each in known]),
            np.array([each.cov for each in known]),
            np.array([each.diffuse for each in known]),
            known[0].period,
        )


class Forecast(NamedTuple):
    """Row h is h + 1 steps after the last observation; [.., m] is absent where one thing is observed."""

    mean: Floats  # [series, h, m]
    variance: Floats  # [series, h, m]; +inf while the forecast is diffuse
    state: Floats  # [series, h, n]
    state_cov: Floats  # [series, h, n, n], the finite part
    state_diffuse: NDArray[np.bool_]  # [series, h, n]
    finite: NDArray[np.bool_]  # [series, h]; False: overflow, which the +inf of a diffuse forecast is not


class _Ahead(NamedTuple):
    """One matrix of every series over the horizon, [series, h, ...]; views where it does not vary."""

    transition: Floats
    state_intercept: Floats
    state_cov: Floats
    design: Floats
    obs_intercept: Floats
    obs_var: Floats


def forecast(models: Sequence[Model], origin: Origin, steps: int) -> Forecast:
    """Forecast every series `steps` ahead; an overflow comes out as inf or NaN, without a warning.

    All models have the same number of states and observations; one that varies in time comes alone.
    """
    count, n = origin.mean.shape
    ahead = _matrices(models, origin.period, steps)
    mean, cov, diffuse, _ = origin
    m = models[0].observed
    means, covs = np.empty((count, steps, n)), np.empty((count, steps, n, n))
    unknown, state_diffuse = np.zeros((count, steps, m), bool), np.zeros((count, steps, n), bool)
    any_diffuse = bool(diffuse.any())
    with np.errstate(over="ignore", invalid="ignore"):
        for h in range(steps):
            if h:
                transition = ahead.transition[:, h - 1]
                mean = (transition @ mean[:, :, None])[:, :, 0] + ahead.state_intercept[:, h - 1]
                cov = transition @ cov @ transition.swapaxes(1, 2) + ahead.state_cov[:, h - 1]
                cov = (cov + cov.swapaxes(1, 2)) / 2
                diffuse = transition @ diffuse if any_diffuse else diffuse
            means[:, h], covs[:, h] = mean, cov
            if any_diffuse:
                unknown[:, h], state_diffuse[:, h] = _still_diffuse(ahead.design[:, h], diffuse)
        observed = np.einsum("bhmi,bhi->bhm", ahead.design, means) + ahead.obs_intercept
        variance = np.einsum("bhmi,bhij,bhmj->bhm", ahead.design, covs, ahead.design, optimize=True) + ahead.obs_var
    finite = np.isfinite(observed).all(axis=2) & np.isfinite(variance).all(axis=2)
    finite &= np.isfinite(means).all(axis=2) & np.isfinite(covs).all(axis=(2, 3))
    variance = np.where(unknown, np.inf, variance)
    if m == 1:
        observed, variance = observed[:, :, 0], variance[:, :, 0]
    return Forecast(observed, variance, means, covs, state_diffuse, finite)


def _matrices(models: Sequence[Model], first: int, steps: int) -> _Ahead:
    def stacked(rank: int, matrices: Sequence[Floats]) -> Floats:
        if len(matrices) == 1:
            return over_time(matrices[0], rank, first, steps)[None]
        whole = np.array(matrices)[:, None]
        return np.broadcast_to(whole, (len(matrices), steps, *whole.shape[2:]))

    return _Ahead(
        stacked(2, [model.transition for model in models]),
        stacked(1, [model.state_intercept for model in models]),
        stacked(2, [model.disturbance_cov for model in models]),
        stacked(2, [model.design for model in models]),
        stacked(1, [model.obs_intercept for model in models]),
        stacked(1, [np.diagonal(model.obs_cov, axis1=-2, axis2=-1) for model in models]),
    )


def _still_diffuse(design: Floats, factor: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each observation [series, m] and state [series, n] has an infinite variance, as the filter judges.

    By size: units that are too unlike for that are multi-precision's (`soundness.plain.lacks_units`).
    """
    signal = design @ factor
    rows = (factor**2).sum(axis=2)
    least = DIFFUSE_TOLERANCE**2 * rows.sum(axis=1)
    seen = (signal**2).sum(axis=2) > least[:, None] * (design**2).sum(axis=2)
    return seen, rows > least[:, None]
