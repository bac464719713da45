"""Checks covariance matrices, and regularises singular ones."""

from typing import Final

import numpy as np
from scipy.linalg.lapack import dpotrf

from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.refusals import NotPositiveSemidefinite

# A negative eigenvalue below this share of the largest is rounding.
NEGLIGIBLE: Final = 1e-10
# Pivots below this share of the largest variance make the portfolio of least variance ambiguous.
SINGULAR: Final = 1e-9
# Added to the variances of a singular matrix, relative to their mean: among portfolios of the same variance the one of
# least norm is chosen (Tikhonov); the variance changes by less than 1e-11 of itself.
RIDGE: Final = 1e-11


def definite(cov: Floats) -> Floats:
    """The matrix itself if it is safely positive definite, else with a small ridge.

    Args:
        cov: [n, n], symmetric and finite.

    Raises:
        NotPositiveSemidefinite: it has an eigenvalue below zero.
    """
    factor, info = dpotrf(cov, lower=1)
    largest = float(cov.diagonal().max())
    if info == 0 and float(factor.diagonal().min()) ** 2 > SINGULAR * largest:
        return cov
    values, vectors = np.linalg.eigh(cov)
    if values[0] < -NEGLIGIBLE * max(float(values[-1]), 0.0) or largest < 0:
        raise NotPositiveSemidefinite(float(values[0]), nearest(values, vectors))
    mean = float(np.trace(cov)) / len(cov)
    # Without any variance every portfolio is optimal; the ridge then selects equal weights.
    return cov + (max(-2.0 * float(values[0]), RIDGE * mean) or 1.0) * np.eye(len(cov))


def nearest(values: Floats, vectors: Floats) -> Floats:
    """The nearest positive semidefinite matrix in the Frobenius norm (Higham 1988, theorem 2.1).

    Args:
        values: [n], eigenvalues of a symmetric matrix.
        vectors: [n, n], its eigenvectors in columns.
    """
    matrix = (vectors * np.maximum(values, 0.0)) @ vectors.T
    symmetric: Floats = (matrix + matrix.T) / 2
    return symmetric
