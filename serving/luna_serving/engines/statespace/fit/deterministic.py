"""What a model explains of a series without noise: by its start, its regressors, waves, seasons, trends, intercepts.

With all variances zero, y = X b plus what the known start and the intercepts add. X has a column for each direction of
the start that nothing, or only a variance, is known of, and one for each intercept that is estimated. If that is all of
y, up to rounding, the likelihood grows without bound as the variances shrink: it has no maximum. If something is left,
even 1e-12 of y, it has one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from luna_serving.engines.statespace.kinds.parameters import Parameters
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import LOG_2PI

Floats = NDArray[np.float64]
Build = Callable[[Mapping[str, Any]], Model]
"""A kind's model from its wire fields, `initial` among them; raises ModelError."""

# Relative to the largest observation: a residual with a smaller standard deviation is the rounding of the numbers as
# they were written and of sums of them. float64 rounds to 1.1e-16; data that were computed in a hundred steps are off
# by that many roundings.
ROUNDING: Final = 2e-14
# A column of X that is less than this share of itself off the others is a combination of them.
COLLINEAR: Final = 1e-11
# All variances are taken this much smaller to see what they leave in the start and in the noise.
SHRUNK: Final = 1e-12
# Relative: what does not shrink with the variances does not come from them.
KEPT: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Deterministic:
    """The least-squares fit of X to a series y [T, m]."""

    residual: Floats  # [T, m], NaN where missing
    exact: bool
    """Nothing is left of y but rounding, and nothing but the estimated variances makes noise."""
    scales: bool
    """All noise, the start's too, is proportional to the estimated variances."""
    floor: float
    """The objective of white noise with a standard deviation of ROUNDING around the fit."""


def explain(parameters: Parameters, build: Build, y: Floats) -> Deterministic | None:
    """What the model explains of y [T, m] without noise, its other parameters as the fields have them.

    None where there is no such model, or it overflows.
    """
    values = parameters.read(parameters.fields)
    constraints = np.array([each.constraint for each in parameters.free for _ in each.names])
    noise = np.isin(constraints, ("variance", "covariance"))
    # One that is zero is to become some size.
    values = np.where((constraints == "variance") & (values == 0), 1.0, values)
    try:
        return _explained(parameters, build, values, noise, y)
    except ModelError:
        return None


def _explained(
    parameters: Parameters, build: Build, values: Floats, noise: NDArray[np.bool_], y: Floats
) -> Deterministic | None:
    here = build(parameters.with_values(values))
    small = build(parameters.with_values(np.where(noise, values * SHRUNK, values)))
    periods = len(y)
    if small.length is not None and periods > small.length:
        return None
    known = ~np.isnan(y)
    sizes = np.array([np.abs(column[seen]).max(initial=0.0) for column, seen in zip(y.T, known.T, strict=True)])
    sizes = np.where(sizes > 0, sizes, 1.0)
    vanishes = _vanishes(here, small)
    columns, mean = _of_start(here, small, periods)
    scales = vanishes and columns.shape[-1] == small.start.rank
    columns = np.concatenate([columns, *_of_intercepts(parameters, build, values, small, periods)], axis=-1)
    if not (np.isfinite(columns).all() and np.isfinite(mean).all()):
        return None
    x = (columns / sizes[:, None])[known]
    left, rank, log_det = _least_squares(x, ((y - mean) / sizes)[known])
    residual = np.full(y.shape, np.nan)
    residual[known] = left
    count = len(left)
    spread = float(np.sqrt(np.sum(left**2) / max(1, count - rank)))
    level = 2 * np.log(ROUNDING) + 1
    total = count * LOG_2PI + 2 * float(np.log(sizes) @ known.sum(axis=0)) + (count - rank) * level + log_det
    return Deterministic(
        residual=residual * sizes,
        exact=spread <= ROUNDING and vanishes and count > rank,
        scales=scales,
        floor=total / (2 * max(1, count)),
    )


def _vanishes(here: Model, small: Model) -> bool:
    """Whether all noise shrinks with the variances that are estimated."""
    pairs = ((here.obs_cov, small.obs_cov), (here.disturbance_cov, small.disturbance_cov))
    return all((np.abs(less) <= KEPT * np.abs(more)).all() for more, less in pairs)


def _of_start(here: Model, small: Model, periods: int) -> tuple[Floats, Floats]:
    """X's columns [T, m, columns] for the start, and what its mean and the intercepts add [T, m]."""
    start = small.start
    parts = [start.diffuse[:, : start.rank]]
    variances = np.diagonal(start.cov)
    kept = variances > KEPT * np.diagonal(here.start.cov)
    parts.append((np.eye(len(kept)) * np.sqrt(np.where(kept, variances, 0.0)))[:, kept])
    seen = _paths(small, np.column_stack([*parts, start.mean]), periods)
    return seen[..., :-1], seen[..., -1] + _shifts(small, periods)


def _of_intercepts(
    parameters: Parameters, build: Build, values: Floats, small: Model, periods: int
) -> Iterator[Floats]:
    """A column [T, m, 1] for each intercept that is estimated."""
    first = 0
    for each in parameters.free:
        if each.path[-1] in {"intercept", "obs_intercept", "state_intercept"}:
            for place in range(first, first + len(each.names)):
                other = np.where(np.arange(len(values)) == place, values + 1, values)
                model = build(parameters.with_values(other))
                change = _paths(model, (model.start.mean - small.start.mean)[:, None], periods)[..., 0]
                yield (change + _shifts(model, periods) - _shifts(small, periods))[..., None]
        first += len(each.names)


def _paths(model: Model, states: Floats, periods: int) -> Floats:
    """How states [n, columns] are seen from period to period without noise and intercepts [T, m, columns]."""
    seen = np.zeros((periods, model.observed, states.shape[1]))
    design, transition = over_time(model.design, 2, 0, periods), over_time(model.transition, 2, 0, periods)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(periods):
            seen[t] = design[t] @ states
            states = transition[t] @ states
    return seen


def _shifts(model: Model, periods: int) -> Floats:
    """What the intercepts add, the start apart [T, m]."""
    seen = np.array(over_time(model.obs_intercept, 1, 0, periods))
    if model.state_intercept.any():
        intercept, state = over_time(model.state_intercept, 1, 0, periods), np.zeros(model.states)
        design, transition = over_time(model.design, 2, 0, periods), over_time(model.transition, 2, 0, periods)
        with np.errstate(over="ignore", invalid="ignore"):
            for t in range(periods):
                seen[t] += design[t] @ state
                state = transition[t] @ state + intercept[t]
    return seen


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, int, float]:
    """The residual of y [N] on x [N, columns], the rank of x, and the logarithm of |x'x| on as many columns."""
    lengths = np.linalg.norm(x, axis=0)
    used = lengths > 0
    if not used.any() or not len(y):
        return y, 0, 0.0
    basis, triangle, order = qr(x[:, used] / lengths[used], mode="economic", pivoting=True)
    sizes = np.abs(np.diagonal(triangle))
    rank = int(np.count_nonzero(sizes > COLLINEAR * sizes[0]))
    basis = basis[:, :rank]
    left = y
    for _ in range(2):
        # Twice: what the first pass leaves of rounding, the second takes off.
        left = left - basis @ (basis.T @ left)
    log_det = 2 * float(np.log(sizes[:rank]).sum() + np.log(lengths[used][order[:rank]]).sum())
    return left, rank, log_det
