"""Portfolios beside Clarabel and skfolio, in one run: least variance, and whole frontiers.

    python -m benchmarks.finance.markowitz [--json FILE]

Luna checks the covariance, solves, and proves the answer in each measured call. Clarabel is called directly with the
matrices ready; skfolio by its `MeanRisk`, whose frontier is a grid of portfolios and not the corners.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import clarabel
import numpy as np
from benchmarks import machine
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import sparse
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk, ObjectiveFunction

from luna_serving.engines.finance.markowitz.api.answers import frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import Constraints, MaxSharpe, MinVariance, assets_of

Floats = NDArray[np.float64]
ROUNDS = 7
# Portfolios of skfolio's frontier; Luna's has all corners.
GRID = 20


@dataclass(frozen=True)
class Figure:
    """One problem, in milliseconds: the median of the rounds."""

    problem: str
    luna: float
    clarabel: float | None
    skfolio: float
    residual: float
    """Luna's."""


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


def least_variance(n: int) -> Figure:
    """The portfolio of least variance."""
    returns = returns_of(n)
    mean, cov = returns.mean(axis=0), np.cov(returns.T)
    limits = Constraints.long_only(n)
    model = MeanRisk(risk_measure=RiskMeasure.VARIANCE)
    return Figure(
        f"least variance, {n} assets",
        median_ms(lambda: solve(assets_of(mean, cov), limits, MinVariance()), times=50),
        median_ms(clarabel_call(cov), times=10),
        median_ms(lambda: model.fit(returns), rounds=3),
        solve(assets_of(mean, cov), limits, MinVariance()).residual,
    )


def largest_sharpe(n: int) -> Figure:
    """The portfolio of the largest Sharpe ratio."""
    returns = returns_of(n)
    mean, cov = returns.mean(axis=0), np.cov(returns.T)
    limits = Constraints.long_only(n)
    model = MeanRisk(risk_measure=RiskMeasure.VARIANCE, objective_function=ObjectiveFunction.MAXIMIZE_RATIO)
    return Figure(
        f"largest Sharpe ratio, {n} assets",
        median_ms(lambda: solve(assets_of(mean, cov), limits, MaxSharpe())),
        None,
        median_ms(lambda: model.fit(returns), rounds=3),
        solve(assets_of(mean, cov), limits, MaxSharpe()).residual,
    )


def whole_frontier(n: int) -> Figure:
    """All corners, beside a grid."""
    returns = returns_of(n)
    mean, cov = returns.mean(axis=0), np.cov(returns.T)
    limits = Constraints.long_only(n)
    model = MeanRisk(risk_measure=RiskMeasure.VARIANCE, efficient_frontier_size=GRID)
    begun = time.perf_counter()
    model.fit(returns)
    grid_ms = 1e3 * (time.perf_counter() - begun)
    found = frontier(assets_of(mean, cov), limits, 50)
    return Figure(
        f"frontier, {n} assets: {len(found.corners)} corners ({GRID} points)",
        median_ms(lambda: frontier(assets_of(mean, cov), limits, 50), rounds=3),
        None,
        grid_ms,
        found.residual,
    )


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description="Portfolios beside Clarabel and skfolio.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    facts = machine.facts(["clarabel", "skfolio", "numpy", "scipy"])
    figures = [least_variance(20), least_variance(200), largest_sharpe(100), whole_frontier(100), whole_frontier(500)]
    table = Table("problem", "Luna, ms", "Clarabel, ms", "skfolio, ms", "skfolio / Luna", "KKT residual")
    for each in figures:
        other = "" if each.clarabel is None else f"{each.clarabel:.3g}"
        ratio = f"{each.skfolio / each.luna:.0f}"
        table.add_row(each.problem, f"{each.luna:.3g}", other, f"{each.skfolio:.4g}", ratio, f"{each.residual:.0e}")
    Console(file=sys.stdout, width=120).print(table)
    if arguments.json:
        document = {"machine": facts, "figures": [asdict(each) for each in figures]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
