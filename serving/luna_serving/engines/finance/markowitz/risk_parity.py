"""Equal contributions to the risk.

Newton's method on the convex function 1/2 x'Cx - (1/n) sum log x_i (Spinu 2013): its minimum, scaled to the sum one, is
the only long portfolio in which w_i (Cw)_i is the same for all i. The function is self-concordant, so that damped steps
always converge (Griveau-Billion, Richard and Roncalli 2013 compare methods).
"""

from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.refusals import Undetermined
from luna_serving.engines.finance.markowitz.solution import Solution

STEPS: Final = 100
# The decrement below which a full step converges quadratically.
NEAR: Final = 0.25


def equal_risk(assets: Assets) -> Solution:
    """The portfolio of equal contributions; the residual is their largest deviation, relative to their mean.

    Raises:
        Undetermined: an asset has no variance, so that its contribution is zero whatever its weight.
    """
    cov = assets.cov
    n = len(cov)
    variances = cov.diagonal()
    if float(variances.min()) <= 0:
        asset = int(variances.argmin())
        raise Undetermined("cov", f"Asset {asset} has no variance, so equal contributions do not exist. Leave it out.")
    # Over correlations the start is near and all numbers are about one.
    deviations = np.sqrt(variances)
    correlation = assets.definite / np.outer(deviations, deviations)
    budget = 1.0 / n
    x = np.full(n, 1.0) / np.sqrt(max(float(correlation.sum()), 1.0))
    best, least = x, np.inf
    for _ in range(STEPS):
        product = correlation @ x
        off = float(np.abs(x * product / budget - 1.0).max())
        if off < least:
            best, least = x, off
        elif least < 1e-12:
            break
        gradient = product - budget / x
        hessian = correlation + np.diag(budget / x**2)
        step = -cho_solve(cho_factor(hessian, lower=True), gradient)
        # Self-concordant after division by the budget.
        decrement = float(np.sqrt(max(0.0, -(gradient @ step)) / budget))
        x = x + step * (1.0 if decrement < NEAR else 1.0 / (1.0 + decrement))
    weights = best / deviations
    weights = weights / weights.sum()
    return Solution(_exactly_one(weights), _unequal(weights, cov), method="newton")


def _exactly_one(weights: Floats) -> Floats:
    weights = weights.copy()
    weights[int(weights.argmax())] += 1.0 - float(weights.sum())
    return weights


def _unequal(weights: Floats, cov: Floats) -> float:
    contributions = weights * (cov @ weights)
    mean = float(contributions.mean())
    return float(np.abs(contributions / mean - 1.0).max()) if mean > 0 else 0.0
