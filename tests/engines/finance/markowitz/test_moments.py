"""Estimates agree with scikit-learn, with pandas' definition, and with a loop."""

import numpy as np
import pytest
from sklearn.covariance import OAS, LedoitWolf
from tests.engines.finance.markowitz.examples import COUNTRY_COV, MARKET, random_returns

from luna_serving.engines.finance.markowitz.api.problems import (
    View,
    black_litterman,
    exponentially_weighted,
    ledoit_wolf,
    oas,
    sample,
)

SHAPES = [(2, 3), (5, 4), (30, 10), (10, 30), (250, 20)]


@pytest.mark.parametrize(("periods", "n"), SHAPES)
def test_shrinkage_agrees_with_scikit_learn(periods: int, n: int) -> None:
    returns = random_returns(n, 1, periods)
    for ours, theirs in ((ledoit_wolf(returns), LedoitWolf().fit(returns)), (oas(returns), OAS().fit(returns))):
        assert ours.shrinkage == pytest.approx(theirs.shrinkage_, rel=1e-10, abs=1e-12)
        assert ours.cov == pytest.approx(theirs.covariance_, rel=1e-10, abs=1e-18)


def test_constant_returns_are_shrunk_without_a_division_by_zero() -> None:
    for found in (ledoit_wolf(np.ones((5, 3))), oas(np.ones((5, 3)))):
        assert found.cov == pytest.approx(0.0)


def test_the_sample_has_the_unbiased_covariance() -> None:
    returns = random_returns(4, 2, 9)
    assert sample(returns).cov == pytest.approx(np.cov(returns.T))


def test_exponential_weights_agree_with_a_loop() -> None:
    returns, decay = random_returns(3, 2, 12), 0.8
    weights = np.array([decay ** (11 - t) for t in range(12)])
    weights /= weights.sum()
    mean = sum(w * r for w, r in zip(weights, returns, strict=True))
    cov = sum(w * np.outer(r - mean, r - mean) for w, r in zip(weights, returns, strict=True))
    found = exponentially_weighted(returns, decay)
    assert found.mean == pytest.approx(mean)
    assert found.cov == pytest.approx(cov / (1 - (weights**2).sum()))


def test_a_certain_view_holds_exactly() -> None:
    picked = np.array([1.0, 0, 0, 0, 0, 0, -1])
    found = black_litterman(COUNTRY_COV, MARKET, [View(picked, 0.02, 0.0)], risk_aversion=2.5, tau=0.05)
    assert picked @ found.mean == pytest.approx(0.02, abs=1e-14)


def test_a_vague_view_changes_nothing() -> None:
    picked = np.eye(7)[2]
    found = black_litterman(COUNTRY_COV, MARKET, [View(picked, 0.5, 1e12)], risk_aversion=2.5, tau=0.05)
    assert found.mean == pytest.approx(found.prior, abs=1e-12)


def test_the_posterior_is_that_of_the_information_form() -> None:
    # He and Litterman (1999), equation 8, with inverses.
    views = [View(np.array([1.0, -1, 0, 0, 0, 0, 0]), 0.03, 0.001), View(np.eye(7)[5], 0.08, 0.002)]
    found = black_litterman(COUNTRY_COV, MARKET, views, risk_aversion=2.5, tau=0.05)
    picked, noise = np.array([v.weights for v in views]), np.diag([0.001, 0.002])
    prior = np.linalg.inv(0.05 * COUNTRY_COV)
    uncertain = np.linalg.inv(prior + picked.T @ np.linalg.inv(noise) @ picked)
    mean = uncertain @ (prior @ found.prior + picked.T @ np.linalg.inv(noise) @ np.array([0.03, 0.08]))
    assert found.mean == pytest.approx(mean, abs=1e-13)
    assert found.cov == pytest.approx(COUNTRY_COV + uncertain, abs=1e-14)


def test_means_by_the_kalman_filter_are_those_of_its_recursion() -> None:
    from luna_serving.engines.finance.markowitz.api.filtering import filtered
    from luna_serving.engines.statespace.api.description import never

    rng = np.random.default_rng(3)
    level = np.cumsum(rng.standard_normal(120)) * 0.01
    returns = np.column_stack([level + rng.standard_normal(120) * 0.01, rng.standard_normal(120) * 0.01, np.ones(120)])
    found = filtered(returns, never)
    # A level that moves is near the last returns; one that does not is the mean; a constant is itself.
    assert abs(found.mean[0] - level[-1]) < 0.01
    assert found.mean[1] == pytest.approx(returns[:, 1].mean(), abs=2e-3)
    assert found.mean[2] == 1.0
    assert found.cov == pytest.approx(np.cov(returns.T))
