"""Between numbers that an optimiser may choose freely and numbers that a model takes.

Each constraint is a pair of maps between a vector theta in R^k and k numbers within bounds; `Constraint.values` is
smooth, and onto but for the bounds' last digits. statsmodels uses the same ones (tsa/statespace/tools),
with the partial autocorrelations' sign turned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.checks import LARGEST, SMALLEST_VARIANCE

Floats = NDArray[np.float64]
# So near to a bound (damping 1, a unit root), a stationary start has few digits left, and at it there is none.
MARGIN: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint on a vector."""

    values: Callable[[Floats], Floats]
    """theta to the numbers that the model takes."""
    theta: Callable[[Floats], Floats]
    """Back. Numbers on a bound or past it are first brought just inside."""


def _squares(theta: Floats) -> Floats:
    squares = np.minimum(np.minimum(np.abs(theta), np.sqrt(LARGEST)) ** 2, LARGEST)
    return np.where(squares < SMALLEST_VARIANCE, 0.0, squares)


def _unit(theta: Floats) -> Floats:
    return MARGIN + (1 - 2 * MARGIN) * _logistic(theta)


def _from_unit(values: Floats) -> Floats:
    share = np.clip((values - MARGIN) / (1 - 2 * MARGIN), MARGIN, 1 - MARGIN)
    return np.log(share / (1 - share))


def _logistic(theta: Floats) -> Floats:
    # tanh cannot overflow.
    return 0.5 + 0.5 * np.tanh(theta / 2)


def _stationary(theta: Floats) -> Floats:
    """Monahan (1984): partial autocorrelations in (-1, 1), then Durbin and Levinson's recursion."""
    coefficients = np.zeros(0)
    for partial in (1 - MARGIN) * theta / np.sqrt(1 + theta**2):
        coefficients = np.append(coefficients - partial * coefficients[::-1], partial)
    return coefficients


def _from_stationary(values: Floats) -> Floats:
    """The recursion backwards; a partial autocorrelation outside is brought inside, and the rest go on from there."""
    coefficients = np.asarray(values, dtype=np.float64)
    partials = np.zeros(len(coefficients))
    for k in range(len(coefficients) - 1, -1, -1):
        partial = np.clip(coefficients[k] / (1 - MARGIN), MARGIN - 1, 1 - MARGIN)
        partials[k] = partial
        inside = (1 - MARGIN) * partial
        rest = coefficients[:k]
        coefficients = (rest + inside * rest[::-1]) / (1 - inside**2)
    theta: Floats = partials / np.sqrt(1 - partials**2)
    return theta


def lower_triangle(cov: Floats) -> Floats:
    """The elements of a symmetric matrix on and below its diagonal, row by row."""
    return cov[np.tril_indices(len(cov))]


def symmetric(elements: Floats) -> Floats:
    """The symmetric matrix of its lower triangle's elements."""
    n = round((np.sqrt(8 * len(elements) + 1) - 1) / 2)
    lower = np.zeros((n, n))
    lower[np.tril_indices(n)] = elements
    return lower + np.tril(lower, -1).T


def _covariance(theta: Floats) -> Floats:
    """Theta is a Cholesky factor's lower triangle; the values are the covariance's."""
    factor = np.tril(symmetric(theta))
    return lower_triangle(factor @ factor.T)


def _from_covariance(values: Floats) -> Floats:
    # A covariance may be singular, where Cholesky's own recursion ends: any square root, turned triangular.
    sizes, directions = np.linalg.eigh(symmetric(values))
    upper = np.linalg.qr((directions * np.sqrt(np.maximum(sizes, 0.0))).T, mode="r")
    signs = np.where(np.diagonal(upper) < 0, -1.0, 1.0)
    return lower_triangle((signs[:, None] * upper).T)


# By name, for `Parameters` is data: a variance is at least zero; a unit_interval number lies between 0 and 1; a period
# is above 2 steps (its frequency below that of Nyquist); stationary and invertible bind a whole vector of lags.
CONSTRAINTS: Final[Mapping[str, Constraint]] = MappingProxyType(
    {
        "free": Constraint(lambda theta: theta, lambda values: values),
        "variance": Constraint(_squares, lambda values: np.sqrt(np.maximum(values, 0.0))),
        "unit_interval": Constraint(_unit, _from_unit),
        "period": Constraint(lambda theta: 2 / _unit(theta), lambda values: _from_unit(2 / np.maximum(values, 2.0))),
        "stationary": Constraint(_stationary, _from_stationary),
        "invertible": Constraint(lambda theta: -_stationary(theta), lambda values: _from_stationary(-values)),
        "covariance": Constraint(_covariance, _from_covariance),
    }
)
