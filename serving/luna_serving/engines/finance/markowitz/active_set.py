"""The primal active-set method on a box, for where block pivoting comes to no end.

It begins at a vertex and keeps the weights feasible: towards the least of the free assets until one meets a bound, then
the bound asset with the most wrong multiplier is freed (Lawson and Hanson 1974, chapter 23, with bounds on both sides).
"""

from typing import Final

import numpy as np

from luna_serving.engines.finance.markowitz.box import FREE, LOWER, TOLERANCE, UPPER, BoxSolution, Sides, settled
from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.inverse import FreeInverse

# A multiplier of the wrong sign within this share of the gradient is rounding.
WRONG: Final = 1e-12


def walk_on_box(cov: Floats, linear: Floats, lower: Floats, upper: Floats) -> BoxSolution | None:
    """Min 1/2 w'Cw - c'w over 1'w = 1, l <= w <= u; None if rounding makes it stand still.

    Args:
        cov: [n, n], C, positive definite.
        linear: [n], c.
        lower: [n], l.
        upper: [n], u; sum l < 1 < sum u.
    """
    n = len(cov)
    weights, sides = _vertex(cov, lower, upper)
    inverse = FreeInverse(cov)
    inverse.restart(np.flatnonzero(sides == FREE))
    for _ in range(20 * n + 100):
        free = inverse.members.copy()
        target = _least_of(cov, linear, weights, inverse)
        step, blocked = _room(weights, target, lower, upper, free)
        weights = weights + step * (target - weights)
        if blocked is not None and len(free) > 1:
            sides[blocked] = LOWER if target[blocked] < weights[blocked] else UPPER
            weights[blocked] = lower[blocked] if sides[blocked] == LOWER else upper[blocked]
            inverse.remove(blocked)
            continue
        gradient = cov @ weights - linear
        level = float(gradient[free].mean())
        wrong = np.where(sides == LOWER, level - gradient, np.where(sides == UPPER, gradient - level, -np.inf))
        wrong[lower == upper] = -np.inf
        worst = int(wrong.argmax())
        if wrong[worst] <= WRONG * max(float(np.abs(gradient).max()), float(np.abs(linear).max())):
            return BoxSolution(settled(weights, lower, upper, sides), sides)
        sides[worst] = FREE
        inverse.add(worst)
    return None


def _vertex(cov: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Sides]:
    """Weights on their bounds but for one asset: those of least variance are filled first."""
    weights, sides = lower.copy(), np.full(len(lower), LOWER, np.int8)
    rest = 1.0 - float(lower.sum())
    for i in np.argsort(cov.diagonal(), kind="stable"):
        room = float(upper[i] - lower[i])
        if room >= rest:
            weights[i] += rest
            sides[i] = FREE
            break
        if room > 0:
            weights[i], sides[i] = upper[i], UPPER
            rest -= room
    return weights, sides


def _least_of(cov: Floats, linear: Floats, weights: Floats, inverse: FreeInverse) -> Floats:
    """The least over the free assets, the others held."""
    free = inverse.members
    held = weights.copy()
    held[free] = 0.0
    solved = inverse.solve(np.column_stack([np.ones(len(free)), linear[free] - (cov @ held)[free]]))
    level = (1.0 - float(held.sum()) - float(solved[:, 1].sum())) / float(solved[:, 0].sum())
    held[free] = solved[:, 1] + level * solved[:, 0]
    return held


def _room(weights: Floats, target: Floats, lower: Floats, upper: Floats, free: np.ndarray) -> tuple[float, int | None]:
    """How far towards the target the bounds allow, at most 1, and the asset that meets its bound first."""
    step, blocked = 1.0, None
    for i in free:
        bound = lower[i] if target[i] < lower[i] - TOLERANCE else upper[i] if target[i] > upper[i] + TOLERANCE else None
        if bound is not None:
            share = (bound - weights[i]) / (target[i] - weights[i])
            if share < step:
                step, blocked = max(0.0, float(share)), int(i)
    return step, blocked
