"""Hierarchical risk parity (Lopez de Prado 2016, "Building diversified portfolios that outperform out of sample").

Single linkage on the distances sqrt((1 - rho) / 2); the order of the leaves; then bisection of that order, each half
weighted by the inverse variance of the other's inverse-variance portfolio.
"""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.refusals import Undetermined
from luna_serving.engines.finance.markowitz.solution import Solution


def hierarchical(cov: Floats) -> tuple[Solution, list[int]]:
    """The portfolio, and the assets in the order of the tree's leaves.

    Args:
        cov: [n, n], positive semidefinite.

    Raises:
        Undetermined: an asset has no variance, hence no correlation.
    """
    n = len(cov)
    variances = cov.diagonal()
    if float(variances.min()) <= 0:
        asset = int(variances.argmin())
        raise Undetermined("cov", f"Asset {asset} has no variance, hence no correlation. Leave it out.")
    order = leaf_order(cov) if n > 1 else [0]
    weights = np.ones(n)
    parts = [order]
    while parts:
        part = parts.pop()
        if len(part) == 1:
            continue
        left, right = part[: len(part) // 2], part[len(part) // 2 :]
        risk, other = _cluster_variance(cov, left), _cluster_variance(cov, right)
        share = 1.0 - risk / (risk + other) if risk + other > 0 else 0.5
        weights[left] *= share
        weights[right] *= 1.0 - share
        parts += [left, right]
    weights = weights / weights.sum()
    weights[int(weights.argmax())] += 1.0 - float(weights.sum())
    return Solution(weights, 0.0, method="recursive_bisection"), order


def leaf_order(cov: Floats) -> list[int]:
    """The assets in the order of the leaves of the tree."""
    deviations = np.sqrt(cov.diagonal())
    correlation = np.clip(cov / np.outer(deviations, deviations), -1.0, 1.0)
    distances = np.sqrt((1.0 - correlation) / 2.0)
    np.fill_diagonal(distances, 0.0)
    return [int(i) for i in leaves_list(linkage(squareform(distances, checks=False), "single"))]


def _cluster_variance(cov: Floats, members: list[int]) -> float:
    part = cov[np.ix_(members, members)]
    inverse = 1.0 / part.diagonal()
    weights = inverse / inverse.sum()
    return float(weights @ part @ weights)
