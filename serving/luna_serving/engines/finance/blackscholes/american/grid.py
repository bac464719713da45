"""The nodes of the collocation and of its integrals, which no option changes.

The boundary B(τ) of a put with maturity T is H(ξ) = ln²(B/X) at Chebyshev points of ξ = √(τ/T). An integral over
u in (0, τ) is taken by Gauss-Legendre in θ, with τ - u = τ sin²θ: its integrand is smooth in √(τ-u) and in √u, and both
are smooth in θ. The points at which B(u) is needed, √(u/T) = ξ cos θ, are therefore the same for all options, and
interpolation is a product with one matrix.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True, eq=False)
class Quadrature:
    """An integral over (0, τ): its points, weights, and the interpolation to them."""

    sine: Float[np.ndarray, " points"]
    cosine: Float[np.ndarray, " points"]
    weights: Float[np.ndarray, " points"]
    """Of ∫ f du / τ."""
    interpolation: Float[np.ndarray, "nodes*points nodes"]
    """From H at the nodes to H at ξ cos θ, a node's points after each other; H(0) = 0 needs no column."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Nodes, and the integrals of the iteration and of the price."""

    xi: Float[np.ndarray, " nodes"]
    """√(τ/T) at the nodes, from 1 down; 0 is no node."""
    coarse: Quadrature
    fine: Quadrature
    price: Quadrature


@cache
def grid(nodes: int, coarse: int, fine: int, price: int) -> Grid:
    """Build a grid with so many nodes, and so many points of its integrals."""
    xi = 0.5 * (1.0 + np.cos(np.arange(nodes) * np.pi / nodes))
    return Grid(xi, _quadrature(xi, nodes, coarse), _quadrature(xi, nodes, fine), _quadrature(xi[:1], nodes, price))


def _quadrature(xi: np.ndarray, nodes: int, points: int) -> Quadrature:
    y, weights = np.polynomial.legendre.leggauss(points)
    theta = 0.25 * np.pi * (1.0 + y)
    sine, cosine = np.sin(theta), np.cos(theta)
    at = 2.0 * np.outer(xi, cosine).ravel() - 1.0
    return Quadrature(sine, cosine, 0.5 * np.pi * weights * sine * cosine, _barycentric(at, nodes)[:, :-1])


def _barycentric(at: np.ndarray, nodes: int) -> np.ndarray:
    """The matrix from values at cos(jπ/n), j = 0..n, to values elsewhere in [-1, 1] (Berrut and Trefethen, 2004)."""
    z = np.cos(np.arange(nodes + 1) * np.pi / nodes)
    weights = (-1.0) ** np.arange(nodes + 1)
    weights[[0, -1]] *= 0.5
    distance = at[:, None] - z
    hit = np.abs(distance) < 1e-14
    matrix = weights / np.where(hit, 1.0, distance)
    matrix /= matrix.sum(axis=1, keepdims=True)
    matrix[hit.any(axis=1)] = hit[hit.any(axis=1)]
    return matrix
