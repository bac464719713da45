"""Expected returns from a market in equilibrium and views (Black and Litterman 1992; He and Litterman 1999)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.covariance import definite


@dataclass(frozen=True, slots=True)
class View:
    """A portfolio is expected to return a number."""

    weights: Floats
    """[n]; they sum to one for an absolute view, to zero for a relative one."""
    mean: float
    variance: float | None = None
    """Of the view; None for tau times the variance of its portfolio, as He and Litterman."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the market and the views say together."""

    mean: Floats
    """[n]"""
    cov: Floats
    """[n, n], of returns: their own covariance and that of their means."""
    prior: Floats
    """[n], the expected returns for which the market's portfolio is optimal."""
    weights: Floats
    """[n], optimal without constraints: the solution of risk_aversion cov w = mean - risk_free. The rest is cash."""


def black_litterman(
    cov: Floats,
    market: Floats,
    views: Sequence[View],
    *,
    risk_aversion: float,
    tau: float,
    risk_free: float = 0.0,
) -> Posterior:
    """The posterior moments (He and Litterman 1999, equations 8 to 10).

    Args:
        cov: [n, n], positive semidefinite.
        market: [n], the market's weights.
        views: k of them.
        risk_aversion: of the market's investor, positive.
        tau: the uncertainty of the prior means as a share of `cov`, positive.
        risk_free: added to the returns of equilibrium, which are in excess of it.
    """
    prior = risk_free + risk_aversion * (cov @ market)
    uncertain = tau * cov
    mean = prior
    if views:
        picked = np.array([view.weights for view in views])
        across = picked @ uncertain
        noise = [
            float(row @ view.weights) if view.variance is None else view.variance
            for row, view in zip(across, views, strict=True)
        ]
        gain = np.linalg.lstsq(across @ picked.T + np.diag(noise), across, rcond=None)[0].T
        mean = prior + gain @ (np.array([view.mean for view in views]) - picked @ prior)
        uncertain = uncertain - gain @ across
    both = cov + uncertain
    both = (both + both.T) / 2
    weights = np.linalg.solve(risk_aversion * definite(both), mean - risk_free).astype(np.float64)
    return Posterior(mean, both, prior, weights)
