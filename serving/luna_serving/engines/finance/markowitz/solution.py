"""A portfolio with the proof that it is optimal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from luna_serving.engines.finance.markowitz.box import FREE, LOWER, UPPER, Sides
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Place

# A price below this share of the gradient is rounding.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimal portfolio."""

    weights: Floats
    """[n], with the sum one."""
    residual: float
    """The largest violation of the conditions of Karush, Kuhn and Tucker: of stationarity and of the signs of
    multipliers relative to the gradient, of constraints in their own units."""
    prices: Mapping[Place, float] = field(default_factory=dict)
    """For each constraint that holds with equality, by how much the objective improves per unit that it is relaxed."""
    method: str = "critical_line"
    trade_off: float = 0.0
    """t, where the portfolio minimises 1/2 w'Cw - t m'w."""


def on_box(
    weights: Floats, sides: Sides, gradient: Floats, unit: float, limits: Constraints, least: float
) -> tuple[float, dict[Place, float]]:
    """The residual and the prices of a portfolio that is constrained by bounds only.

    Args:
        weights: [n].
        sides: [n], the bound that each weight is on.
        gradient: [n], of the function that is minimised.
        unit: converts its value to that of the objective.
        limits: with the bounds.
        least: the size of a gradient below which it is rounding.
    """
    lower, upper = limits.lower, limits.upper
    free = sides == FREE
    scale = max(float(np.abs(gradient).max()), least, np.finfo(float).tiny)
    level = _level(gradient, sides)
    multipliers = gradient - level
    fixed = lower == upper
    wrong = np.where(free, np.abs(multipliers), np.where(sides == LOWER, -multipliers, multipliers))
    wrong[fixed] = 0.0
    outside = np.maximum(lower - weights, weights - upper)
    residual = max(float(wrong.max()) / scale, float(outside.max()), abs(float(weights.sum()) - 1.0), 0.0)
    prices: dict[Place, float] = {}
    for i in np.flatnonzero(~free):
        price = float(multipliers[i])
        pulls_down = price > 0 if fixed[i] else sides[i] == LOWER
        size = abs(price) if abs(price) > NEGLIGIBLE * scale else 0.0
        prices[Place("bounds", int(i), "min" if pulls_down else "max")] = size * unit
    return residual, prices


def _level(gradient: Floats, sides: Sides) -> float:
    """The multiplier of the budget."""
    free = sides == FREE
    if free.any():
        return float(gradient[free].mean())
    low, up = gradient[sides == LOWER], gradient[sides == UPPER]
    if not len(low):
        return float(up.max())
    if not len(up):
        return float(low.min())
    return float(low.min() + up.max()) / 2
