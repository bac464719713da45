"""Means and covariances of returns: sample, shrunk, exponentially weighted."""

from dataclasses import dataclass

import numpy as np

from luna_serving.engines.finance.markowitz.constraints import Floats


@dataclass(frozen=True, slots=True)
class Moments:
    """What is estimated of n assets, per period of the returns."""

    mean: Floats
    """[n]"""
    cov: Floats
    """[n, n], symmetric."""
    shrinkage: float | None = None
    """The share of the target in a shrunk covariance."""


def sample(returns: Floats) -> Moments:
    """Mean and unbiased covariance.

    Args:
        returns: [T, n], T >= 2.
    """
    mean = returns.mean(axis=0)
    away = returns - mean
    return Moments(mean, _symmetric(away.T @ away / (len(returns) - 1)))


def ledoit_wolf(returns: Floats) -> Moments:
    """The covariance shrunk to a multiple of the identity by the share of least expected loss.

    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", lemma 3.2 and
    section 3.3.

    Args:
        returns: [T, n], T >= 2.
    """
    periods, n = returns.shape
    mean = returns.mean(axis=0)
    away = returns - mean
    cov = away.T @ away / periods
    level = float(np.trace(cov)) / n
    squares = float((cov**2).sum())
    distance = (squares - n * level**2) / n
    lengths = (away**2).sum(axis=1)
    noise = (float(lengths @ lengths) / periods - squares) / (periods * n)
    share = 1.0 if distance <= 0 else min(max(noise, 0.0), distance) / distance
    return Moments(mean, _shrunk(cov, level, share), share)


def oas(returns: Floats) -> Moments:
    """The covariance shrunk to a multiple of the identity by the oracle approximating share.

    Chen, Wiesel, Eldar and Hero (2010), "Shrinkage algorithms for MMSE covariance estimation", equation 23, with the
    terms in 2/n left out as scikit-learn does.

    Args:
        returns: [T, n], T >= 2.
    """
    periods, n = returns.shape
    mean = returns.mean(axis=0)
    away = returns - mean
    cov = away.T @ away / periods
    level = float(np.trace(cov)) / n
    squares = float((cov**2).mean())
    below = (periods + 1) * (squares - level**2 / n)
    share = 1.0 if below <= 0 else min((squares + level**2) / below, 1.0)
    return Moments(mean, _shrunk(cov, level, share), share)


def exponentially_weighted(returns: Floats, decay: float) -> Moments:
    """Mean and unbiased covariance with weights that fall by a factor per period back (RiskMetrics 1996).

    Args:
        returns: [T, n], T >= 2; the last row is the newest.
        decay: the factor, in (0, 1).
    """
    weights = decay ** np.arange(len(returns) - 1, -1, -1.0)
    weights = weights / weights.sum()
    mean = weights @ returns
    away = returns - mean
    unbiased = 1.0 - float(weights @ weights)
    return Moments(mean, _symmetric((away * weights[:, None]).T @ away / unbiased))


def _shrunk(cov: Floats, level: float, share: float) -> Floats:
    shrunk: Floats = (1.0 - share) * cov
    shrunk[np.diag_indices(len(cov))] += share * level
    return _symmetric(shrunk)


def _symmetric(matrix: Floats) -> Floats:
    symmetric: Floats = (matrix + matrix.T) / 2
    return symmetric
