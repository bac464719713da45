"""The EM algorithm for variances and covariances, its expectations read off the exact score.

With complete data an M-step is the mean of u u', and the E-step's sum of E[u u' | y] follows from the derivative of
the log-likelihood (Koopman & Shephard 1992, "Exact score for time series models in state space form"; Durbin & Koopman
2012, section 7.3.3 and 7.3.4): with G the derivative with respect to Q, sum E[u u' | y] = n Q + 2 Q G Q. So

    Q becomes Q + 2 / n Q G Q,   and a variance s of shocks with covariance s D becomes s + 2 s² / (n rank D) dl/ds,

the very step of Shumway & Stoffer (1982), in the diffuse phase too, without a smoother. n counts the shocks between
the first period and the last, or the observations. Where a parameter also moves something else (the start, say), the
M-step has no closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.objective import Objective
from luna_serving.engines.statespace.fit.quasi_newton import Outcome, Point, Search
from luna_serving.engines.statespace.fit.results import NoClosedForm
from luna_serving.engines.statespace.fit.search_space import SearchSpace
from luna_serving.engines.statespace.fit.stop import Stop
from luna_serving.engines.statespace.model.model import over_time

Floats = NDArray[np.float64]

MATRICES: Final = ("transition", "design", "obs_cov", "state_cov", "selection", "obs_intercept", "state_intercept")
STARTS: Final = ("mean", "cov", "diffuse")
AFFINE: Final = 1e-12
# Smaller steps of the objective, which is of about unit size, are rounding: EM creeps.
NO_IMPROVEMENT: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Block:
    """Parameters that one M-step moves together."""

    matrix: str
    """obs_cov or state_cov."""
    places: slice
    """Among all k."""
    size: int
    """The size of the covariance whose lower triangle they are; 0: they are one variance."""
    shape: Floats
    """D of a variance, or [T, ...] of them."""


def blocks(space: SearchSpace, values: Floats) -> list[Block]:
    """How EM moves each parameter.

    Raises:
        NoClosedForm: it cannot move one of them.
    """
    found, first = [], 0
    for each in space.parameters.free:
        places = slice(first, first + len(each.names))
        if each.constraint == "covariance":
            found.append(Block(str(each.path[0]), places, each.shape[0], np.zeros(0)))
        elif each.constraint == "variance":
            found += [_variance(space, values, place) for place in range(places.start, places.stop)]
        else:
            raise NoClosedForm(each.name, 'is no variance or covariance: EM has no step for it; use "mle"')
        first = places.stop
    return found


def _variance(space: SearchSpace, values: Floats, place: int) -> Block:
    """Which shocks a variance belongs to, found from what doubling it changes."""
    name = space.names[place]
    twice, four = values.copy(), values.copy()
    twice[place], four[place] = 2 * values[place], 4 * values[place]
    here, there, far = space.model(values), space.model(twice), space.model(four)
    moved = [each for each in MATRICES if not np.array_equal(getattr(here, each), getattr(there, each))]
    started = any(not np.array_equal(getattr(here.start, each), getattr(there.start, each)) for each in STARTS)
    if started or moved not in (["obs_cov"], ["state_cov"]):
        raise NoClosedForm(name, 'also moves where the state starts, so EM has no closed step for it; use "mle"')
    cov, changed, further = (getattr(each, moved[0]) for each in (here, there, far))
    shape = (changed - cov) / values[place]
    own = np.diagonal(shape, axis1=-2, axis2=-1).astype(bool)
    rest = cov - values[place] * shape
    shared = np.abs(rest * (own[..., :, None] | own[..., None, :])).max() > AFFINE * np.abs(cov).max()
    bent = np.abs(further - cov - 3 * values[place] * shape).max() > AFFINE * np.abs(further).max()
    correlated = moved == ["obs_cov"] and (shape * (1 - np.eye(shape.shape[-1]))).any()
    if shared or bent or correlated:
        raise NoClosedForm(name, 'is not the variance of shocks of its own, so EM has no closed step for it; use "mle"')
    return Block(moved[0], slice(place, place + 1), 0, shape)


def climb(objective: Objective, parts: Sequence[Block], *, tolerance: float, max_iterations: int) -> Search:
    """Take EM steps from the objective's start; the objective falls at each."""
    counts = [_count(block, objective.y) for block in parts]
    now = yield Point(objective.x, 0)
    for iteration in range(max_iterations):
        if not now.defined:
            return Outcome(now, iteration, Stop.NO_IMPROVEMENT)
        if now.value < objective.floor:
            return Outcome(now, iteration, Stop.NO_MAXIMUM)
        if now.steepness <= tolerance:
            return Outcome(now, iteration, Stop.FLAT)
        values = objective.values(now.x)
        # From coordinates to values: least squares, for a variance of zero has no derivative to divide by.
        jacobian = objective.jacobian(now.x)
        slopes = -now.gradient * objective.observations
        score = np.asarray(np.linalg.lstsq(jacobian.T, slopes, rcond=None)[0], dtype=np.float64)
        moved = values.copy()
        for block, count in zip(parts, counts, strict=True):
            moved[block.places] = _step(block, count, values[block.places], score[block.places])
        following = yield Point(objective.space.coordinates(moved), iteration)
        if not following.defined or following.value > now.value - NO_IMPROVEMENT:
            return Outcome(now, iteration, Stop.NO_IMPROVEMENT)
        now = following
    return Outcome(now, max_iterations, Stop.ITERATION_LIMIT)


def _step(block: Block, count: float, values: Floats, score: Floats) -> Floats:
    if count == 0:
        return values
    if not block.size:
        return values + 2 * values**2 / count * score
    rows, columns = np.tril_indices(block.size)
    cov, slope = np.zeros((2, block.size, block.size))
    cov[rows, columns] = values
    # An element off the diagonal is in the matrix twice, and its derivative is the sum of both.
    slope[rows, columns] = np.where(rows == columns, score, score / 2)
    cov, slope = (matrix + np.tril(matrix, -1).T for matrix in (cov, slope))
    following = cov + 2 / count * cov @ slope @ cov
    return following[rows, columns]


def _count(block: Block, y: Floats) -> float:
    """How many shocks, or observations, of that variance there are."""
    periods, known = len(y), ~np.isnan(y)
    if block.size:
        return float(np.count_nonzero(known.any(axis=1)) if block.matrix == "obs_cov" else periods - 1)
    if block.matrix == "obs_cov":
        own = over_time(np.diagonal(block.shape, axis1=-2, axis2=-1), 1, 0, periods) > 0
        return float(np.count_nonzero(own & known))
    if block.shape.ndim == 2:
        return float(np.linalg.matrix_rank(block.shape) * (periods - 1))
    return float(np.linalg.matrix_rank(over_time(block.shape, 2, 0, periods - 1)).sum())
