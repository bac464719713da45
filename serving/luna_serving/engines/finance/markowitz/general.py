"""Portfolios under general constraints: Clarabel's solution, polished to rounding."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.box import FREE, LOWER, UPPER, settled
from luna_serving.engines.finance.markowitz.cone import Ball, Program, solve_cone
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Place
from luna_serving.engines.finance.markowitz.polish import Polished, polish
from luna_serving.engines.finance.markowitz.refusals import Riskless
from luna_serving.engines.finance.markowitz.rows import Rows, rows_of
from luna_serving.engines.finance.markowitz.solution import Solution

METHOD: Final = "clarabel_polished"
# A variance below this share of the largest is none.
NO_RISK: Final = 1e-14
# The least multiplier of a constraint that matters.
KEEPS_AWAY: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Scaled:
    """Assets in units that make all numbers about one."""

    root: Floats
    mean: Floats
    risk_unit: float
    mean_unit: float

    @classmethod
    def of(cls, assets: Assets) -> "Scaled":
        """Scale by the mean variance and the largest mean."""
        risk_unit = float(np.sqrt(np.trace(assets.definite) / len(assets.mean)))
        mean_unit = float(np.abs(assets.mean).max()) or 1.0
        root = np.linalg.cholesky(assets.definite / risk_unit**2).T.astype(np.float64)
        return cls(root, assets.mean / mean_unit, risk_unit, mean_unit)


def least_variance(assets: Assets, limits: Constraints, *, target: float | None = None) -> Solution:
    """The portfolio of least variance, with at least an expected return if there is a target.

    Raises:
        Unsolved: the solver found none; the constraints are feasible.
    """
    scaled = Scaled.of(assets)

    def program(each: Constraints) -> Program:
        rows = rows_of(each)
        if target is not None:
            rows = rows.with_most(-scaled.mean, -target / scaled.mean_unit, Place("target"))
        return Program(scaled.root, 1.0, np.zeros(len(assets.mean)), rows, _balls(each, scaled))

    def unit(weights: Floats) -> float:
        risk = assets.risk(weights)
        return scaled.risk_unit**2 / risk if risk > 0 else 0.0

    return _solved(assets, limits, scaled, program, unit)


def largest_return(assets: Assets, limits: Constraints, most_risk: float) -> Solution:
    """The portfolio of largest expected return with at most a risk.

    Raises:
        Unsolved: the solver found none.
    """
    scaled = Scaled.of(assets)
    n = len(assets.mean)

    def program(each: Constraints) -> Program:
        balls = (Ball(np.zeros(n), most_risk / scaled.risk_unit, Place("target")), *_balls(each, scaled))
        return Program(scaled.root, 0.0, scaled.mean, rows_of(each), balls)

    return _solved(assets, limits, scaled, program, lambda _: scaled.mean_unit)


def largest_sharpe(assets: Assets, limits: Constraints, risk_free: float) -> Solution:
    """The portfolio of the largest ratio of excess return to risk, of which some portfolio has a positive one.

    Raises:
        Riskless: a portfolio without risk has excess return.
        Unsolved: the solver found none.
    """
    scaled = Scaled.of(assets)
    excess = scaled.mean - risk_free / scaled.mean_unit

    def program(each: Constraints) -> Program:
        return Program(scaled.root, 1.0, excess, rows_of(each), _balls(each, scaled), ratio=True)

    def unit(weights: Floats) -> float:
        risk = assets.risk(weights) / scaled.risk_unit
        if risk**2 <= NO_RISK:
            raise Riskless
        return scaled.mean_unit / scaled.risk_unit * float(excess @ weights) / risk**3

    return _solved(assets, limits, scaled, program, unit)


def nearest(
    assets: Assets, limits: Constraints, benchmark: Floats, *, target: float | None = None
) -> tuple[Floats, list[Place]]:
    """The portfolio that deviates least from a benchmark, and the constraints that keep it away.

    Args:
        assets: n assets.
        limits: feasible; tracking error is left out.
        benchmark: [n].
        target: the least expected return.

    Raises:
        Unsolved: the solver found none.
    """
    scaled = Scaled.of(assets)
    rows = rows_of(limits)
    if target is not None:
        rows = rows.with_most(-scaled.mean, -target / scaled.mean_unit, Place("target"))
    # |w - b|^2 / 2 is w'Cw / 2 - (Cb)'w and a constant.
    pull = scaled.root.T @ (scaled.root @ benchmark)
    program = Program(scaled.root, 1.0, pull, rows)
    found = polish(program, solve_cone(program))
    places = zip(rows.most_places, found.most, strict=True)
    return found.x[: len(benchmark)], [place for place, price in places if place is not None and price > KEEPS_AWAY]


def most_expected(assets: Assets, limits: Constraints) -> float:
    """The largest expected return, whatever the risk.

    Raises:
        Unsolved: the solver found none.
    """
    scaled = Scaled.of(assets)
    posed = Program(scaled.root, 0.0, scaled.mean, rows_of(limits), _balls(limits, scaled))
    return float(assets.mean @ solve_cone(posed).x[: len(assets.mean)])


def _balls(limits: Constraints, scaled: Scaled) -> tuple[Ball, ...]:
    if limits.tracking is None:
        return ()
    return (Ball(limits.tracking.benchmark, limits.tracking.most / scaled.risk_unit, Place("tracking_error")),)


def _solved(
    assets: Assets,
    limits: Constraints,
    scaled: Scaled,
    program: Callable[[Constraints], Program],
    unit: Callable[[Floats], float],
) -> Solution:
    """Solve without the limit of turnover first: where it does not bind, what is traded is not determined."""
    if limits.turnover is not None:
        without = replace(limits, turnover=None)
        found = _solved(assets, without, scaled, program, unit)
        if float(np.abs(found.weights - limits.turnover.start).sum()) <= limits.turnover.most:
            return found
    posed = program(limits)
    polished = polish(posed, solve_cone(posed))
    weights = weights_of(limits, posed.rows, polished)
    per_unit = unit(weights)
    prices: dict[Place, float] = {}
    for place, multiplier in zip(posed.rows.equal_places, polished.equal, strict=True):
        if place is not None:
            prices[replace(place, side="min" if multiplier < 0 else "max")] = abs(float(multiplier)) * per_unit
    for row in np.flatnonzero(polished.active):
        place = posed.rows.most_places[row]
        if place is not None:
            rate = 1.0 / scaled.mean_unit if place.kind == "target" else 1.0
            prices[place] = max(0.0, float(polished.most[row])) * per_unit * rate
    for ball, multiplier in zip(posed.balls, polished.balls, strict=True):
        if multiplier > 0:
            prices[ball.place] = float(multiplier) * ball.radius * per_unit / scaled.risk_unit
    return Solution(weights, polished.residual, dict(sorted(prices.items())), METHOD, polished.trade_off)


def weights_of(limits: Constraints, rows: Rows, polished: Polished) -> Floats:
    """The weights without rounding on their bounds and in their sum."""
    n = len(limits.lower)
    sides = np.where(limits.lower == limits.upper, LOWER, FREE).astype(np.int8)
    for row in np.flatnonzero(polished.active):
        place = rows.most_places[row]
        if place is not None and place.kind == "bounds":
            sides[place.index] = LOWER if place.side == "min" else UPPER
    return settled(polished.x[:n], limits.lower, limits.upper, sides)
