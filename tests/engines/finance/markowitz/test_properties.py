"""Properties that hold for every problem."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.finance.markowitz.examples import random_assets

from luna_serving.engines.finance.markowitz.api.answers import frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import (
    Constraints,
    MaxSharpe,
    MinVariance,
    RiskParity,
    TargetReturn,
    TargetRisk,
    assets_of,
)

PROBLEMS = st.tuples(st.integers(2, 25), st.integers(0, 10_000))
QUICK = settings(max_examples=25, deadline=None, derandomize=True)


@QUICK
@given(PROBLEMS, st.floats(1e-4, 1e4))
def test_the_unit_of_returns_does_not_matter(problem: tuple[int, int], unit: float) -> None:
    assets = random_assets(*problem)
    scaled = assets_of(assets.mean * unit, assets.cov * unit**2)
    limits = Constraints.long_only(len(assets.mean))
    for objective in (MinVariance(), MaxSharpe(-unit), RiskParity()):
        other = MaxSharpe(-1.0) if isinstance(objective, MaxSharpe) else objective
        a, b = solve(scaled, limits, objective).weights, solve(assets, limits, other).weights
        assert np.abs(a - b).max() < 1e-8


@QUICK
@given(PROBLEMS)
def test_the_order_of_assets_does_not_matter(problem: tuple[int, int]) -> None:
    assets = random_assets(*problem)
    n = len(assets.mean)
    order = np.random.default_rng(problem[1]).permutation(n)
    turned = assets_of(assets.mean[order], assets.cov[np.ix_(order, order)])
    for objective in (MinVariance(), TargetReturn(float(assets.mean.mean()))):
        a = solve(assets, Constraints.long_only(n), objective).weights[order]
        b = solve(turned, Constraints.long_only(n), objective).weights
        assert np.abs(a - b).max() < 1e-8


@QUICK
@given(PROBLEMS, st.floats(0.0, 1.0))
def test_target_return_and_target_risk_are_inverse(problem: tuple[int, int], share: float) -> None:
    assets = random_assets(*problem)
    n = len(assets.mean)
    limits = Constraints.long_only(n)
    low = assets.expected(solve(assets, limits, MinVariance()).weights)
    target = low + share * (float(assets.mean.max()) - low)
    by_return = solve(assets, limits, TargetReturn(target)).weights
    by_risk = solve(assets, limits, TargetRisk(assets.risk(by_return) * (1 + 1e-14))).weights
    spread = float(np.ptp(assets.mean))
    assert abs(assets.expected(by_risk) - max(target, low)) < 1e-6 * spread


@QUICK
@given(PROBLEMS)
def test_the_largest_sharpe_ratio_is_on_the_frontier_and_above_all_its_points(problem: tuple[int, int]) -> None:
    assets = random_assets(*problem)
    limits = Constraints.long_only(len(assets.mean))
    rate = float(assets.mean.min()) - 1e-3
    best = solve(assets, limits, MaxSharpe(rate)).weights
    ratio = (assets.expected(best) - rate) / assets.risk(best)
    for w in frontier(assets, limits, 20).points:
        assert (assets.expected(w) - rate) / assets.risk(w) <= ratio * (1 + 1e-12)


@QUICK
@given(PROBLEMS)
def test_prices_are_the_slopes_of_the_objective(problem: tuple[int, int]) -> None:
    assets = random_assets(*problem)
    n = len(assets.mean)
    upper = np.full(n, max(0.6, 2 / n))
    found = solve(assets, Constraints(np.zeros(n), upper), MinVariance())
    priced = {place: price for place, price in found.prices.items() if place.side == "max" and price > 1e-6}
    for place, price in priced.items():
        wider = upper.copy()
        wider[place.index] += 1e-7
        other = solve(assets, Constraints(np.zeros(n), wider), MinVariance())
        slope = (assets.risk(found.weights) - assets.risk(other.weights)) / 1e-7
        assert abs(slope - price) < 1e-3 * price + 1e-7
