"""The efficient frontier: its corners and points between them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.finance.markowitz import along
from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats
from luna_serving.engines.finance.markowitz.critical_line import PathLost
from luna_serving.engines.finance.markowitz.general import METHOD
from luna_serving.engines.finance.markowitz.hopping import corners_of, sampled
from luna_serving.engines.finance.markowitz.refusals import Unsolved
from luna_serving.engines.finance.markowitz.solution import on_box
from luna_serving.engines.finance.markowitz.stopping import Stop, never

# A residual above this is not taken for an optimum; a slower method solves the problem.
SOUND: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Frontier:
    """All efficient portfolios: each between two corners is a mixture of these."""

    corners: Sequence[Floats]
    """[n] each, from the least risk to the largest expected return; empty where turnover or tracking
    error bends the path. Where rounding hides corners of a singular covariance, the points."""
    points: Sequence[Floats]
    """[n] each, evenly spaced in expected return."""
    residual: float
    """The largest of all corners."""
    method: str


def efficient_frontier(assets: Assets, limits: Constraints, points: int, stop: Stop = never) -> Frontier:
    """The frontier of feasible constraints.

    Args:
        assets: n assets.
        limits: feasible.
        points: evenly spaced in expected return, at least 2.
        stop: asked between portfolios.

    Raises:
        Unsolved: the solver found no portfolio.
        Stopped: it was told to.
    """
    straight = limits.turnover is None and limits.tracking is None
    if limits.only_bounds:
        with suppress(PathLost, np.linalg.LinAlgError):
            found = _of_critical_lines(assets, limits, points, stop)
            if found.residual < SOUND:
                return found
    elif straight:
        with suppress(Unsolved):
            corners, residual = corners_of(assets, limits, stop)
            if residual < SOUND:
                return Frontier(corners, between(corners, assets.mean, points), residual, METHOD)
    sample, residual = sampled(assets, limits, points, stop)
    return Frontier(sample if straight else (), sample, residual, METHOD)


def _of_critical_lines(assets: Assets, limits: Constraints, points: int, stop: Stop) -> Frontier:
    found = along.corners(assets, limits, stop)
    residual = 0.0
    for each in found:
        gradient = assets.cov @ each.weights - each.trade_off * assets.mean
        off, _ = on_box(each.weights, each.sides, gradient, 0.0, limits, assets.least_gradient)
        residual = max(residual, off)
    weights = [each.weights for each in found]
    return Frontier(weights, between(weights, assets.mean, points), residual, "critical_line")


def between(corners: Sequence[Floats], mean: Floats, points: int) -> list[Floats]:
    """[n] each: portfolios between corners, evenly spaced in expected return."""
    returns = np.maximum.accumulate(np.array([float(mean @ w) for w in corners]))
    if len(corners) == 1 or returns[-1] <= returns[0]:
        return [corners[0]] * points
    found = []
    for target in np.linspace(returns[0], returns[-1], points):
        right = int(np.clip(np.searchsorted(returns, target), 1, len(corners) - 1))
        gap = returns[right] - returns[right - 1]
        share = float(np.clip((target - returns[right - 1]) / gap, 0.0, 1.0)) if gap > 0 else 0.0
        w = (1.0 - share) * corners[right - 1] + share * corners[right]
        w[int(w.argmax())] += 1.0 - float(w.sum())
        found.append(w)
    return found
