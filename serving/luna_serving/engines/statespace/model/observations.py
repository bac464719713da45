"""From periods of m correlated observations to rows of one uncorrelated observation each. Pure NumPy.

With H = L D L', L unit lower triangular, L⁻¹ y has the design L⁻¹ Z and the diagonal covariance D, and |L| = 1
leaves the likelihood as it is (Durbin & Koopman 2012, section 6.4.3). Where elements are missing the same is done
to what is left of H.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model, over_time

Floats = NDArray[np.float64]

# A pivot below this multiple of its diagonal entry is the rounding of zero: H is singular there.
SINGULAR: Final = 1e-14
# Whitening loses digits where a correlation's smallest eigenvalue is below.
WELL_CONDITIONED: Final = 1e-6
LOG_2PI: Final = math.log(2 * math.pi)


class Rows(NamedTuple):
    """Scalar observations, k a period: m of them, or n where they collapse; views where nothing varies."""

    y: Floats  # [T·k], without obs_intercept; NaN where missing
    design: Floats  # [T·k, n]
    obs_var: Floats  # [T·k]
    loglike: Floats | None = None  # [T], what a period's observations add to the log-likelihood besides these rows


def collapses(model: Model) -> bool:
    """Whether the observations of a period are taken as one number per state."""
    return model.observed > model.states and _well_conditioned(model)


@once_per_model
def _well_conditioned(model: Model) -> bool:
    scale = np.sqrt(np.diagonal(model.obs_cov, axis1=-2, axis2=-1))
    if (scale <= 0).any():
        return False
    correlation = model.obs_cov / (scale[..., :, None] * scale[..., None, :])
    return bool((np.linalg.eigvalsh(correlation)[..., 0] > WELL_CONDITIONED).all())


def collapsed_rows_of(model: Model, y: Floats, first: int = 0) -> Rows:
    """Rows of a series y [T, m] whose first period is period `first` of the model, n a period, if it `collapses`."""
    rows = rows_of(model, y, first)
    return _collapsed(rows, len(y), model.observed) if collapses(model) else rows


def _collapsed(rows: Rows, periods: int, m: int) -> Rows:
    """With D^-½ Z = Q R: R' has all information on the states; what is orthogonal to Q has none."""
    n = rows.design.shape[1]
    y, obs_var = rows.y.reshape(periods, m), rows.obs_var.reshape(periods, m)
    missing = np.isnan(y)
    root = np.where(missing, 0.0, 1 / np.sqrt(obs_var))
    white = np.where(missing, 0.0, y) * root
    q, r = np.linalg.qr(rows.design.reshape(periods, m, n) * root[:, :, None])
    seen = np.einsum("tmk,tm->tk", q, white)
    # Row k of R is nothing but rounding where the observations that are there say fewer than n things.
    size = np.abs(r).sum(axis=2)
    told = size > SINGULAR * size.max(axis=1, keepdims=True, initial=0.0)
    count = m - missing.sum(axis=1)
    # The residual itself: the difference of the two sums of squares cancels where observations are large.
    rest = ((white - np.einsum("tmk,tk->tm", q, np.where(told, seen, 0.0))) ** 2).sum(axis=1)
    log_det = np.where(missing, 0.0, np.log(obs_var)).sum(axis=1)
    loglike = -0.5 * ((count - told.sum(axis=1)) * LOG_2PI + log_det + rest)
    collapsed = np.where(told, seen, np.nan).reshape(-1)
    return Rows(collapsed, r.reshape(-1, n), np.ones(periods * n), loglike)


def rows_of(model: Model, y: Floats, first: int = 0) -> Rows:
    """Rows of a series y [T, m] whose first period is period `first` of the model, m a period."""
    periods, m, n = len(y), model.observed, model.states
    y = y - over_time(model.obs_intercept, 1, first, periods)
    design = over_time(model.design, 2, first, periods)
    obs_cov = over_time(model.obs_cov, 2, first, periods)
    diagonal = np.diagonal(obs_cov, axis1=1, axis2=2)
    constant = model.obs_cov.ndim == 2
    if _correlated(model):
        missing = np.isnan(y)
        if constant and not missing.any():
            # One factor serves all periods.
            lower, pivots = factor(model.obs_cov[None], np.zeros((1, m), bool))
        else:
            lower, pivots = factor(obs_cov, missing)
        y, design = solve(lower, y[:, :, None])[:, :, 0], solve(lower, design)
        diagonal = np.broadcast_to(pivots, (periods, m))
    return Rows(y.reshape(-1), design.reshape(-1, n), diagonal.reshape(-1))


@once_per_model
def _correlated(model: Model) -> bool:
    """Whether obs_cov is more than its diagonal, in any period."""
    off = np.abs(model.obs_cov) * (1 - np.eye(model.observed))
    return bool(off.any())


def factor(cov: Floats, missing: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """L [T, m, m] and D [T, m] of each cov [T, m, m] without its missing rows and columns, which keep L = I."""
    m = cov.shape[-1]
    gone = missing[:, :, None] | missing[:, None, :]
    work = np.where(gone, 0.0, cov)
    lower = np.broadcast_to(np.eye(m), work.shape).copy()
    pivots = np.zeros(work.shape[:-1])
    for j in range(m):
        pivot = work[:, j, j] - np.einsum("tk,tk,tk->t", lower[:, j, :j], lower[:, j, :j], pivots[:, :j])
        regular = pivot > SINGULAR * work[:, j, j]
        pivots[:, j] = np.where(regular, pivot, 0.0)
        rest = work[:, j + 1 :, j] - np.einsum("tik,tk,tk->ti", lower[:, j + 1 :, :j], lower[:, j, :j], pivots[:, :j])
        lower[:, j + 1 :, j] = np.where(regular, 1.0 / np.where(regular, pivot, 1.0), 0.0)[:, None] * rest
    # A missing row is skipped for its NaN; any variance does.
    return lower, np.where(missing, np.diagonal(cov, axis1=1, axis2=2), pivots)


def solve(lower: Floats, right: Floats) -> Floats:
    """L⁻¹ right [T, m, k]; a NaN of a missing element stays in its own row."""
    periods, m, width = len(right), right.shape[1], right.shape[2]
    solved = np.empty((periods, m, width))
    for i in range(m):
        known = np.where(np.isnan(solved[:, :i]), 0.0, solved[:, :i])
        solved[:, i] = right[:, i] - np.einsum("tk,tkj->tj", np.broadcast_to(lower[:, i, :i], (periods, i)), known)
    return solved
