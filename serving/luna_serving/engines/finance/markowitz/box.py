"""The least of a strictly convex quadratic function of weights that sum to one, between bounds.

Block principal pivoting (Judice and Pires 1994; Kim and Park 2011): all assets whose weight or multiplier has the wrong
sign change sides at once, while that makes progress; then one at a time. A handful of Cholesky factorisations.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from luna_serving.engines.finance.markowitz.constraints import Floats

LOWER: Final = -1
FREE: Final = 0
UPPER: Final = 1
Sides = NDArray[np.int8]
# Exchanges of whole blocks without progress before single ones.
PATIENCE: Final = 3
# Relative to the weights, and to the gradient.
TOLERANCE: Final = 1e-13


@dataclass(frozen=True, slots=True)
class BoxSolution:
    """A portfolio on a box."""

    weights: Floats
    """[n]"""
    sides: Sides
    """[n], LOWER, FREE or UPPER."""


def least_on_box(cov: Floats, linear: Floats, lower: Floats, upper: Floats) -> BoxSolution | None:
    """Min 1/2 w'Cw - c'w over 1'w = 1, l <= w <= u; None where pivoting comes to no end.

    Args:
        cov: [n, n], C, positive definite.
        linear: [n], c.
        lower: [n], l.
        upper: [n], u; sum l < 1 < sum u.
    """
    n = len(cov)
    sides = np.where(lower == upper, LOWER, FREE).astype(np.int8)
    fixed = lower == upper
    fewest, patience = n + 1, PATIENCE
    for _ in range(5 * n + 20):
        free = np.flatnonzero(sides == FREE)
        if not len(free):
            return None
        w = np.where(sides == UPPER, upper, lower)
        w[free] = 0.0
        right = np.empty((len(free), 2), order="F")
        right[:, 0] = 1.0
        right[:, 1] = linear[free] - (cov @ w)[free]
        _, solved, info = dposv(cov[np.ix_(free, free)], right, lower=1, overwrite_a=1, overwrite_b=1)
        if info != 0:
            return None
        level = (1.0 - w.sum() - solved[:, 1].sum()) / solved[:, 0].sum()
        w[free] = solved[:, 1] + level * solved[:, 0]
        product = cov @ w
        gradient = product - linear - level
        slack = TOLERANCE * max(float(np.abs(product).max()), float(np.abs(linear).max()))
        below = (sides == FREE) & (w < lower - TOLERANCE)
        above = (sides == FREE) & (w > upper + TOLERANCE)
        back = ~fixed & (((sides == LOWER) & (gradient < -slack)) | ((sides == UPPER) & (gradient > slack)))
        wrong = below | above | back
        count = int(wrong.sum())
        if not count:
            return BoxSolution(settled(w, lower, upper, sides), sides)
        if count < fewest:
            fewest, patience = count, PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            last = np.flatnonzero(wrong)[-1]
            below, above, back = (np.where(np.arange(n) == last, each, False) for each in (below, above, back))
        sides[below], sides[above], sides[back] = LOWER, UPPER, FREE
    return None


def settled(weights: Floats, lower: Floats, upper: Floats, sides: Sides) -> Floats:
    """Weights without the rounding of a solve: on their bounds, between them, with the sum one."""
    w = np.clip(weights, lower, upper)
    w = np.where(sides == LOWER, lower, np.where(sides == UPPER, upper, w))
    free = np.flatnonzero(sides == FREE)
    for _ in range(2):
        rest = 1.0 - float(w.sum())
        if rest == 0.0 or not len(free):
            break
        # The asset farthest from its bounds takes the rounding.
        room = np.minimum(w[free] - lower[free], upper[free] - w[free])
        w[free[int(room.argmax())]] += rest
    return w
