"""Random problems agree with Clarabel, prove themselves, and make convex frontiers."""

from collections.abc import Iterator

import numpy as np
import pytest
from tests.engines.finance.markowitz.examples import random_assets
from tests.engines.finance.markowitz.oracle import clarabel_weights

from luna_serving.engines.finance.markowitz.api.answers import frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import (
    Assets,
    Constraints,
    Group,
    MaxSharpe,
    MinVariance,
    TargetReturn,
)

RESIDUAL = 1e-10
AGREES = 1e-8
# Of 500: those of the quick run. All take half a minute.
QUICK = 40


def sizes(count: int) -> Iterator[tuple[int, int]]:
    rng = np.random.default_rng(14)
    for seed in range(count):
        yield int(np.exp(rng.uniform(np.log(5), np.log(200)))), seed


def one(n: int, seed: int) -> None:
    assets = random_assets(n, seed)
    rng = np.random.default_rng([seed, n])
    limits = Constraints.long_only(n)
    if seed % 3 == 1:
        limits = Constraints(np.full(n, -0.05), np.full(n, max(0.2, 3 / n)))
    if seed % 3 == 2:
        members = tuple(int(i) for i in rng.choice(n, n // 2, replace=False))
        limits = Constraints(np.zeros(n), np.ones(n), (Group(members, 0.2, 0.6),))
    agrees_at_least_variance(assets, limits)
    agrees_at_its_trade_off(assets, limits, TargetReturn(float(np.quantile(assets.mean, 0.6))))
    if assets.mean.max() > 0:
        agrees_at_its_trade_off(assets, limits, MaxSharpe(min(0.0, float(assets.mean.max()) - 1e-3)))


def rows_of(limits: Constraints) -> tuple[np.ndarray, np.ndarray]:
    n = len(limits.lower)
    rows, most = np.zeros((0, n)), np.zeros(0)
    for group in limits.groups:
        row = np.zeros((1, n))
        row[0, list(group.members)] = 1.0
        rows, most = np.vstack([rows, row, -row]), np.append(most, [group.maximum, -group.minimum])
    return rows, most


def agrees_at_least_variance(assets: Assets, limits: Constraints) -> None:
    found = solve(assets, limits, MinVariance())
    sound(found.weights, found.residual, limits, assets)
    other = clarabel_weights(assets.cov, np.zeros(len(assets.mean)), limits.lower, limits.upper, *rows_of(limits))
    least = assets.risk(found.weights) ** 2
    assert least <= assets.risk(other) ** 2 * (1 + AGREES)
    assert least == pytest.approx(assets.risk(other) ** 2, rel=AGREES)


def agrees_at_its_trade_off(assets: Assets, limits: Constraints, objective: TargetReturn | MaxSharpe) -> None:
    """The portfolio is that of least variance among those that return as much, by Clarabel."""
    found = solve(assets, limits, objective)
    sound(found.weights, found.residual, limits, assets)
    expected = assets.expected(found.weights)
    unit = float(np.abs(assets.mean).max())
    rows, most = rows_of(limits)
    rows, most = np.vstack([rows, -assets.mean[None, :] / unit]), np.append(most, -expected / unit)
    other = clarabel_weights(assets.cov, np.zeros(len(assets.mean)), limits.lower, limits.upper, rows, most)
    assert assets.risk(found.weights) ** 2 == pytest.approx(assets.risk(other) ** 2, rel=AGREES)


def sound(weights: np.ndarray, residual: float, limits: Constraints, assets: Assets) -> None:
    assert residual < RESIDUAL
    assert abs(weights.sum() - 1.0) < 1e-12
    assert limits.excess(weights, assets.cov) == {}


@pytest.mark.parametrize(("n", "seed"), list(sizes(QUICK)))
def test_some_random_problems_agree_with_clarabel(n: int, seed: int) -> None:
    one(n, seed)


@pytest.mark.slow
def test_500_random_problems_agree_with_clarabel() -> None:
    for n, seed in sizes(500):
        one(n, seed)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("n", [2, 5, 17, 60])
def test_a_frontier_is_convex_and_its_corners_are_optimal(n: int, grouped: bool) -> None:
    assets = random_assets(n, 3)
    limits = Constraints.long_only(n)
    if grouped:
        limits = Constraints(limits.lower, limits.upper, (Group((0,), 0.1, 0.5),))
    found = frontier(assets, limits, 30)
    assert found.residual < RESIDUAL
    means = np.array([assets.expected(w) for w in found.points])
    variances = np.array([assets.risk(w) ** 2 for w in found.points])
    assert (np.diff(means) >= -1e-15).all()
    assert (np.diff(variances) >= -1e-12 * variances.max()).all()
    assert (np.diff(variances, 2) >= -1e-9 * variances.max()).all()
    for w, target in list(zip(found.points, means, strict=True))[1:-1]:
        exact = solve(assets, limits, TargetReturn(float(target)))
        assert assets.risk(w) ** 2 == pytest.approx(assets.risk(exact.weights) ** 2, rel=AGREES)
