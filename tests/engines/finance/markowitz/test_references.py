"""Published numbers, to their printed digits."""

import numpy as np
import pytest
from tests.engines.finance.markowitz.examples import (
    COUNTRY_COV,
    ERC_COV,
    ERC_WEIGHTS,
    GERMANY,
    MARKET,
    TEN_COV,
    TEN_MEANS,
    TEN_SHARPE,
)

from luna_serving.engines.finance.markowitz.api.answers import frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import (
    Constraints,
    MaxSharpe,
    MinVariance,
    RiskParity,
    View,
    assets_of,
    black_litterman,
)

# The last turning point, as the open-source test of the portfolio_allocation library prints it.
LEAST = [
    0.03696858147921504,
    0.02690083780081047,
    0.0949424305647986,
    0.1257759521946726,
    0.0767460810325476,
    0.21935567131616898,
    0.029987096882220312,
    0.035963284621386274,
    0.06134983772972688,
    0.29201022637845325,
]


def test_the_largest_sharpe_ratio_of_ten_assets() -> None:
    assets = assets_of(np.array(TEN_MEANS), TEN_COV)
    solution = solve(assets, Constraints.long_only(10), MaxSharpe())
    assert assets.expected(solution.weights) / assets.risk(solution.weights) == pytest.approx(TEN_SHARPE, abs=5e-11)


def test_the_turning_points_of_ten_assets() -> None:
    # Bailey and Lopez de Prado (2013), table 2: expected return, risk, and weights of the first and the last.
    assets = assets_of(np.array(TEN_MEANS), TEN_COV)
    corners = frontier(assets, Constraints.long_only(10), 2).corners
    found = [(round(assets.expected(w), 3), round(assets.risk(w), 3)) for w in reversed(corners)]
    assert found == [
        (1.190, 0.952),
        (1.180, 0.546),
        (1.160, 0.417),
        (1.111, 0.267),
        (1.108, 0.265),
        (1.022, 0.230),
        (1.015, 0.228),
        (0.973, 0.220),
        (0.950, 0.216),
        (0.803, 0.205),
    ]
    assert corners[0] == pytest.approx(LEAST, abs=1e-13)


@pytest.mark.parametrize(("first", "second", "rho"), [(0.2, 0.3, 0.1), (0.1, 0.4, -0.5), (0.25, 0.26, 0.0)])
def test_two_assets_have_the_formula(first: float, second: float, rho: float) -> None:
    cov = np.array([[first**2, rho * first * second], [rho * first * second, second**2]])
    solution = solve(assets_of(np.zeros(2), cov), Constraints.long_only(2), MinVariance())
    formula = (second**2 - rho * first * second) / (first**2 + second**2 - 2 * rho * first * second)
    assert solution.weights[0] == pytest.approx(formula, abs=1e-15)


def test_equal_risk_contributions_of_three_assets() -> None:
    solution = solve(assets_of(np.zeros(3), ERC_COV), Constraints.long_only(3), RiskParity())
    assert solution.weights == pytest.approx(ERC_WEIGHTS, abs=5e-9)


def test_he_and_litterman_s_view_on_germany() -> None:
    view = View(GERMANY, 0.05)
    found = black_litterman(COUNTRY_COV, MARKET, [view], risk_aversion=2.5, tau=0.05)
    assert 100 * found.mean[3] == pytest.approx(11.0375, abs=5e-5)
    assert 100 * found.weights[3] == pytest.approx(35.4295, abs=5e-5)
    # Table 2: the returns of equilibrium, in percent.
    assert 100 * found.prior == pytest.approx([3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6], abs=0.05)


def test_without_views_the_market_is_optimal() -> None:
    found = black_litterman(COUNTRY_COV, MARKET, [], risk_aversion=2.5, tau=0.05)
    assert found.weights == pytest.approx(MARKET / 1.05, abs=1e-12)
