"""Least conditional value at risk, and hierarchical risk parity."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from tests.engines.finance.markowitz.examples import TEN_COV, random_returns

from luna_serving.engines.finance.markowitz.api.answers import cvar_of, solve, value_at_risk
from luna_serving.engines.finance.markowitz.api.problems import (
    Constraints,
    Group,
    Hierarchical,
    MinCvar,
    Turnover,
    assets_of,
    sample,
)


def test_the_cvar_of_a_few_losses() -> None:
    losses = np.array([1.0, 5.0, 3.0, 2.0, 4.0])
    assert cvar_of(losses, 0.8) == 5.0
    assert cvar_of(losses, 0.6) == 4.5
    assert cvar_of(losses, 0.7) == pytest.approx((5 + 0.5 * 4) / 1.5)
    assert cvar_of(losses, 1e-9) == pytest.approx(3.0)
    assert value_at_risk(losses, 0.8) == 4.0


@pytest.mark.parametrize("level", [0.5, 0.9, 0.97])
def test_two_assets_agree_with_a_search(level: float) -> None:
    returns = random_returns(2, 4, 300)
    moments = sample(returns)
    found = solve(assets_of(moments.mean, moments.cov), Constraints.long_only(2), MinCvar(returns, level))

    def cvar(w: float) -> float:
        return cvar_of(-returns @ np.array([w, 1 - w]), level)

    least = minimize_scalar(cvar, bounds=(0, 1), method="bounded", options={"xatol": 1e-12})
    assert cvar(float(found.weights[0])) <= least.fun + 1e-12
    assert found.residual < 1e-10


@pytest.mark.parametrize("n", [5, 40])
def test_constraints_hold_and_no_neighbour_is_better(n: int) -> None:
    returns = random_returns(n, 5, 200)
    moments = sample(returns)
    start = np.full(n, 1 / n)
    limits = Constraints(np.zeros(n), np.full(n, 0.6), (Group((0, 1), 0.1, 0.5),), Turnover(start, 0.8))
    found = solve(assets_of(moments.mean, moments.cov), limits, MinCvar(returns, 0.9))
    assert found.residual < 1e-10
    assert limits.excess(found.weights, moments.cov) == {}
    least = cvar_of(-returns @ found.weights, 0.9)
    rng = np.random.default_rng(1)
    for _ in range(50):
        other = 0.98 * found.weights + 0.02 * rng.dirichlet(np.ones(n))
        if not limits.excess(other, moments.cov):
            assert cvar_of(-returns @ other, 0.9) >= least - 1e-12


def test_the_tree_of_the_paper_s_algorithm_step_by_step() -> None:
    cov = TEN_COV
    deviations = np.sqrt(np.diag(cov))
    distance = np.sqrt(np.maximum(0.0, (1 - cov / np.outer(deviations, deviations)) / 2))
    # Single linkage by hand: the two nearest clusters join, in the order in which scipy lists them.
    clusters, made = {i: [i] for i in range(10)}, 10
    while len(clusters) > 1:
        pairs = [
            (min(distance[i, j] for i in clusters[a] for j in clusters[b]), a, b)
            for a in clusters
            for b in clusters
            if a < b
        ]
        _, a, b = min(pairs)
        clusters[made] = clusters.pop(a) + clusters.pop(b)
        made += 1
    (order,) = clusters.values()
    weights = np.ones(10)

    def variance(part: list[int]) -> float:
        inverse = 1 / np.diag(cov)[part]
        inverse /= inverse.sum()
        return float(inverse @ cov[np.ix_(part, part)] @ inverse)

    def bisect(part: list[int]) -> None:
        if len(part) > 1:
            left, right = part[: len(part) // 2], part[len(part) // 2 :]
            share = 1 - variance(left) / (variance(left) + variance(right))
            weights[left] *= share
            weights[right] *= 1 - share
            bisect(left)
            bisect(right)

    bisect(order)
    found = solve(assets_of(np.zeros(10), cov), Constraints.long_only(10), Hierarchical())
    assert found.weights == pytest.approx(weights, abs=1e-14)
