"""Ties, equal means, duplicates and singular covariances."""

import numpy as np
import pytest
from tests.engines.finance.markowitz.examples import random_assets, random_returns

from luna_serving.engines.finance.markowitz.api.answers import frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import (
    Constraints,
    Group,
    MaxSharpe,
    MinVariance,
    NoExcessReturn,
    NotPositiveSemidefinite,
    Objective,
    Riskless,
    RiskParity,
    TargetReturn,
    TargetRisk,
    Tracking,
    Turnover,
    assets_of,
)

OBJECTIVES = [MinVariance(), MaxSharpe(-1.0), TargetReturn(0.0), TargetRisk(1.0)]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_duplicates_share_what_one_would_have(objective: Objective) -> None:
    one = random_assets(6, 1)
    order = [0, 1, 2, 3, 4, 5, 5, 5]
    many = assets_of(one.mean[order], one.cov[np.ix_(order, order)])
    alone = solve(one, Constraints.long_only(6), objective)
    found = solve(many, Constraints.long_only(8), objective)
    assert many.risk(found.weights) == pytest.approx(one.risk(alone.weights), rel=1e-8)
    assert many.expected(found.weights) == pytest.approx(one.expected(alone.weights), rel=1e-6, abs=1e-9)
    assert found.residual < 1e-10


def test_with_fewer_periods_than_assets_the_frontier_is_sound() -> None:
    returns = random_returns(40, 2, periods=15)
    assets = assets_of(returns.mean(axis=0), np.cov(returns.T))
    found = frontier(assets, Constraints.long_only(40), 20)
    assert found.residual < 1e-10
    risks = [assets.risk(w) for w in found.corners]
    assert (np.diff(risks) > -1e-9).all()


def test_equal_means_leave_one_portfolio() -> None:
    assets = random_assets(5, 1)
    equal = assets_of(np.full(5, 0.01), assets.cov)
    found = frontier(equal, Constraints.long_only(5), 4)
    least = solve(equal, Constraints.long_only(5), MinVariance())
    assert len(found.corners) == 1
    assert found.points[3] == pytest.approx(least.weights, abs=1e-14)


def test_a_tie_of_the_largest_means_ends_at_its_portfolio_of_least_variance() -> None:
    assets = random_assets(5, 4)
    mean = np.array([0.01, 0.02, 0.03, 0.03, 0.0])
    found = frontier(assets_of(mean, assets.cov), Constraints.long_only(5), 3)
    pair = solve(assets_of(np.zeros(2), assets.cov[2:4, 2:4]), Constraints.long_only(2), MinVariance())
    assert found.corners[-1][2:4] == pytest.approx(pair.weights, abs=1e-9)


def test_no_risk_at_all_gives_equal_weights() -> None:
    found = solve(assets_of(np.zeros(4), np.zeros((4, 4))), Constraints.long_only(4), MinVariance())
    assert found.weights == pytest.approx(0.25)


def test_excess_return_without_risk_has_no_ratio() -> None:
    assets = assets_of(np.array([0.01, 0.05]), np.diag([0.0, 0.04]))
    with pytest.raises(Riskless):
        solve(assets, Constraints.long_only(2), MaxSharpe())


def test_no_excess_return_says_the_best() -> None:
    assets = assets_of(np.array([0.01, 0.05]), np.diag([0.01, 0.04]))
    with pytest.raises(NoExcessReturn) as refused:
        solve(assets, Constraints.long_only(2), MaxSharpe(0.05))
    assert refused.value.best == pytest.approx(0.05)


def test_a_negative_eigenvalue_is_refused_with_the_nearest_matrix() -> None:
    cov = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    with pytest.raises(NotPositiveSemidefinite) as refused:
        assets_of(np.zeros(3), cov)
    assert refused.value.eigenvalue == pytest.approx(-0.8)
    values, vectors = np.linalg.eigh(cov)
    assert refused.value.nearest == pytest.approx((vectors * np.maximum(values, 0)) @ vectors.T)
    assets_of(np.zeros(3), refused.value.nearest)


@pytest.mark.parametrize("bound", [0.25, 1 / 3])
def test_bounds_without_a_choice(bound: float) -> None:
    n = round(1 / bound)
    assets = random_assets(n, 7)
    limits = Constraints(np.zeros(n), np.full(n, bound))
    for objective in (MinVariance(), MaxSharpe(-1.0)):
        assert solve(assets, limits, objective).weights == pytest.approx(bound)


def test_a_fixed_weight_and_a_fixed_group_have_prices() -> None:
    assets = random_assets(6, 9)
    lower, upper = np.zeros(6), np.ones(6)
    lower[0] = upper[0] = 0.3
    limits = Constraints(lower, upper, (Group((1, 2), 0.25, 0.25),))
    found = solve(assets, limits, MinVariance())
    assert found.weights[0] == 0.3
    assert found.weights[1:3].sum() == pytest.approx(0.25, abs=1e-14)
    assert found.residual < 1e-10


def test_no_turnover_keeps_what_is_held() -> None:
    assets = random_assets(5, 2)
    held = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    limits = Constraints(np.zeros(5), np.ones(5), (), Turnover(held, 0.0))
    found = solve(assets, limits, MinVariance())
    assert found.weights == pytest.approx(held, abs=1e-12)


def test_equal_contributions_of_many_assets() -> None:
    assets = random_assets(150, 2)
    found = solve(assets, Constraints.long_only(150), RiskParity())
    contributions = found.weights * (assets.cov @ found.weights)
    assert contributions == pytest.approx(contributions.mean(), rel=1e-10)


def test_a_tracking_error_binds_with_its_price() -> None:
    assets = random_assets(20, 5)
    benchmark = np.full(20, 0.05)
    most, step = 0.001, 1e-7
    risks = []
    for each in (most, most + step):
        limits = Constraints(np.zeros(20), np.ones(20), (), None, Tracking(benchmark, each))
        found = solve(assets, limits, MinVariance())
        assert found.residual < 1e-10
        assert assets.risk(found.weights - benchmark) == pytest.approx(each, rel=1e-9)
        risks.append(assets.risk(found.weights))
        price = next(price for place, price in found.prices.items() if place.kind == "tracking_error")
    assert price == pytest.approx((risks[0] - risks[1]) / step, rel=1e-3)
