"""Portfolios beside Clarabel and skfolio, in one run: least variance, and whole frontiers.

Luna checks the covariance, solves, and proves the answer in each measured call. Clarabel is called directly with the
matrices ready; skfolio by its `MeanRisk`, whose frontier is a grid of portfolios and not the corners.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Final

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk, ObjectiveFunction

from luna_serving.engines.finance.markowitz.api.answers import frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import Constraints, MaxSharpe, MinVariance, assets_of

from .figures import Figure

Floats = NDArray[np.float64]
NAME: Final = "Portfolios"
ROUNDS = 7
# Portfolios of skfolio's frontier; Luna's has all corners.
GRID = 20


def returns_of(n: int) -> Floats:
    """Returns with five common factors, [2n + 10, n]."""
    rng = np.random.default_rng(n)
    periods = 2 * n + 10
    common = rng.standard_normal((periods, 5)) @ rng.standard_normal((5, n)) * 0.01
    return common + rng.standard_normal((periods, n)) * 0.01 + rng.standard_normal(n) * 0.001


def median_ms(call: Callable[[], object], rounds: int = ROUNDS, times: int = 1) -> float:
    """The median time of a call, after one that is not counted."""
    call()
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - begun) / times)
    return 1e3 * statistics.median(found)


def clarabel_call(cov: Floats) -> Callable[[], object]:
    """The least variance, long only, with all matrices ready."""
    n = len(cov)
    square = sparse.csc_matrix(np.triu(cov))
    rows = sparse.csc_matrix(np.vstack([np.ones((1, n)), -np.eye(n)]))
    right, linear = np.concatenate([[1.0], np.zeros(n)]), np.zeros(n)
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(n)]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    return lambda: clarabel.DefaultSolver(square, linear, rows, right, cones, settings).solve()


def least_variance(n: int) -> list[Figure]:
    """The portfolio of least variance."""
    returns = returns_of(n)
    mean, cov = returns.mean(axis=0), np.cov(returns.T)
    limits = Constraints.long_only(n)
    model = MeanRisk(risk_measure=RiskMeasure.VARIANCE)
    return compared(
        f"least variance, {n} assets",
        median_ms(lambda: solve(assets_of(mean, cov), limits, MinVariance()), times=50),
        {
            "Clarabel": median_ms(clarabel_call(cov), times=10),
            "skfolio": median_ms(lambda: model.fit(returns), rounds=3),
        },
        solve(assets_of(mean, cov), limits, MinVariance()).residual,
    )


def largest_sharpe(n: int) -> list[Figure]:
    """The portfolio of the largest Sharpe ratio."""
    returns = returns_of(n)
    mean, cov = returns.mean(axis=0), np.cov(returns.T)
    limits = Constraints.long_only(n)
    model = MeanRisk(risk_measure=RiskMeasure.VARIANCE, objective_function=ObjectiveFunction.MAXIMIZE_RATIO)
    return compared(
        f"largest Sharpe ratio, {n} assets",
        median_ms(lambda: solve(assets_of(mean, cov), limits, MaxSharpe())),
        {"skfolio": median_ms(lambda: model.fit(returns), rounds=3)},
        solve(assets_of(mean, cov), limits, MaxSharpe()).residual,
    )


def whole_frontier(n: int) -> list[Figure]:
    """All corners, beside a grid."""
    returns = returns_of(n)
    mean, cov = returns.mean(axis=0), np.cov(returns.T)
    limits = Constraints.long_only(n)
    model = MeanRisk(risk_measure=RiskMeasure.VARIANCE, efficient_frontier_size=GRID)
    begun = time.perf_counter()
    model.fit(returns)
    grid_ms = 1e3 * (time.perf_counter() - begun)
    found = frontier(assets_of(mean, cov), limits, 50)
    return compared(
        f"frontier, {n} assets: {len(found.corners)} corners ({GRID} points)",
        median_ms(lambda: frontier(assets_of(mean, cov), limits, 50), rounds=3),
        {"skfolio": grid_ms},
        found.residual,
    )


def measure(quick: bool) -> list[Figure]:
    """All figures; of small problems, or of all."""
    warnings.simplefilter("ignore")
    figures = [*least_variance(20), *largest_sharpe(100)]
    return figures if quick else [*figures, *least_variance(200), *whole_frontier(100), *whole_frontier(500)]


def compared(what: str, luna_ms: float, peers: dict[str, float], residual: float) -> list[Figure]:
    """A figure for each peer."""
    note = f"less is better; KKT residual {residual:.0e}"
    return [Figure(what, luna_ms, "ms", peer, name, note) for name, peer in peers.items()]
