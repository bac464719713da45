"""Correlation matrices: whether one is positive semi-definite, its factor, and the nearest one that is.

Higham, "Computing the nearest correlation matrix: a problem from finance", IMA J. Numerical Analysis 22 (2002),
algorithm 3.3: alternating projections with Dykstra's correction.
"""

from typing import Final

import numpy as np
from jaxtyping import Float

# Eigenvalues above -ROUNDING are zero: a matrix with six correct digits passes.
ROUNDING: Final = 1e-8
SWEEPS: Final = 1000

Matrix = Float[np.ndarray, "n n"]


def least_eigenvalue(correlation: Matrix) -> float:
    """The smallest; negative beyond rounding if the matrix is no correlation matrix."""
    return float(np.linalg.eigvalsh(correlation)[0])


def factor(correlation: Matrix) -> tuple[tuple[float, ...], ...]:
    """Lower triangular L with L L' = correlation, by Cholesky's algorithm with zero pivots left out."""
    n = len(correlation)
    out = np.zeros((n, n))
    for j in range(n):
        pivot = correlation[j, j] - np.sum(out[j, :j] ** 2)
        if pivot <= ROUNDING:
            continue
        out[j, j] = np.sqrt(pivot)
        for i in range(j + 1, n):
            out[i, j] = (correlation[i, j] - np.sum(out[i, :j] * out[j, :j])) / out[j, j]
    # Rows of unit length, so that each asset keeps its volatility where a pivot was rounded away.
    out /= np.sqrt(np.sum(out**2, axis=1))[:, None]
    return tuple(tuple(row) for row in out.tolist())


def nearest(correlation: Matrix) -> Matrix:
    """The nearest correlation matrix in the Frobenius norm."""
    y, correction = correlation.copy(), np.zeros_like(correlation)
    for _ in range(SWEEPS):
        shifted = y - correction
        values, vectors = np.linalg.eigh((shifted + shifted.T) / 2)
        x = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = x - shifted
        previous, y = y, x.copy()
        np.fill_diagonal(y, 1.0)
        if np.abs(y - previous).max() < 1e-12:
            break
    # On the boundary, rounding may leave an eigenvalue just below zero.
    values, vectors = np.linalg.eigh(y)
    y = (vectors * np.maximum(values, 1e-10)) @ vectors.T
    scale = np.sqrt(np.diagonal(y))
    out: Matrix = y / np.outer(scale, scale)
    np.fill_diagonal(out, 1.0)
    return out
