"""The derivatives of `kinds.transforms`: how the wire's numbers follow an optimiser's free ones."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.transforms import CONSTRAINTS, MARGIN

Floats = NDArray[np.float64]

# The cube root of float64's rounding: where a central difference loses as much to rounding as to curvature.
STEP: Final = 6e-6


def slopes(constraint: str, theta: Floats) -> Floats:
    """The derivative [k, k] of a constraint's values by theta [k]; exact for variances and for vectors of lags."""
    match constraint:
        case "free":
            return np.eye(len(theta))
        case "variance":
            with np.errstate(over="ignore"):
                return np.diag(np.where(CONSTRAINTS[constraint].values(theta) > 0, 2 * theta, 0.0))
        case "stationary":
            return _stationary(theta)
        case "invertible":
            return -_stationary(theta)
        case _:
            return _differences(constraint, theta)


def _stationary(theta: Floats) -> Floats:
    """The derivative of Durbin and Levinson's recursion, and of the partial autocorrelations, by theta."""
    size = len(theta)
    length = 1 + theta**2
    partials = (1 - MARGIN) * theta / np.sqrt(length)
    coefficients, moved = np.zeros(0), np.zeros((0, size))
    for k, partial in enumerate(partials):
        along = np.eye(1, size, k)
        moved = np.vstack([moved - partial * moved[::-1] - coefficients[::-1, None] * along, along])
        coefficients = np.append(coefficients - partial * coefficients[::-1], partial)
    return moved * ((1 - MARGIN) * length**-1.5)


def _differences(constraint: str, theta: Floats) -> Floats:
    values = CONSTRAINTS[constraint].values
    steps = STEP * np.maximum(1.0, np.abs(theta))
    columns = []
    for i, step in enumerate(steps):
        shift = np.zeros_like(theta)
        shift[i] = step
        columns.append((values(theta + shift) - values(theta - shift)) / (2 * step))
    return np.array(columns).T
