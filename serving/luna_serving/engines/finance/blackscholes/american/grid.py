"""The nodes of the collocation and of its integrals, which no option changes.

The boundary B(τ) of a put with maturity T is H(x) = ln²(B/X) at Chebyshev points of x = (τ/T)^(1/m), m = 2 or 4. An
integral over u in (0, τ) is taken by Gauss-Legendre in θ, with u = τ cos^m θ: then √(τ - u) is smooth in θ (for m = 4,
τ - u = τ sin²θ (1 + cos²θ)), and so is x(u) = x(τ) cos θ. The points at which B(u) is needed are therefore the same for
all options, and interpolation is a product with one matrix.

With q > r, B is smooth in √τ, and m = 2. Otherwise H has a term τ ln τ, to which polynomials in √τ converge slowly, and
those in its square root fast: m = 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True, eq=False)
class Quadrature:
    """An integral over u in (0, τ): its points, weights, and the interpolation to them."""

    since: Float[np.ndarray, " points"]
    """(τ - u)/τ."""
    root: Float[np.ndarray, " points"]
    """Its square root."""
    weights: Float[np.ndarray, " points"]
    """Of ∫ f du / τ."""
    interpolation: Float[np.ndarray, "points*nodes nodes"]
    """From H at the nodes to H at u, the first points of all nodes before their second; H(0) = 0 needs no column."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The nodes and the integrals of some steps of the iteration."""

    time: Float[np.ndarray, " nodes"]
    """τ/T at the nodes, from 1 down; 0 is no node."""
    quadrature: Quadrature
    transfer: Float[np.ndarray, "nodes before"]
    """From H at the nodes of the level before."""
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The levels of the iteration, from the coarsest, and the integral of the price on the nodes of the last."""

    levels: tuple[Level, ...]
    price: Quadrature


Power = Literal[2, 4]


def grid(power: Power, levels: Sequence[tuple[int, int, int]], price: int) -> Grid:
    """Build a grid in (τ/T)^(1/power).

    Args:
        power: of the nodes.
        levels: of each its nodes, the points of its integrals, and its steps.
        price: points of the price.
    """
    found, before = [], levels[0][0]
    for nodes, points, steps in levels:
        x = _nodes(nodes)
        transfer = _barycentric(2.0 * x - 1.0, before)[:, :-1]
        found.append(Level(x**power, _quadrature(power, x, nodes, points), transfer, steps))
        before = nodes
    return Grid(tuple(found), _quadrature(power, np.ones(1), before, price))


def _nodes(count: int) -> np.ndarray:
    """From 1 down, without 0."""
    return 0.5 * (1.0 + np.cos(np.arange(count) * np.pi / count))


def _quadrature(power: int, x: np.ndarray, nodes: int, points: int) -> Quadrature:
    y, weights = np.polynomial.legendre.leggauss(points)
    theta = 0.25 * np.pi * (1.0 + y)
    sine, cosine = np.sin(theta), np.cos(theta)
    root = sine if power == 2 else sine * np.sqrt(1.0 + cosine**2)
    weights = 0.25 * np.pi * weights * power * sine * cosine ** (power - 1)
    return Quadrature(root**2, root, weights, _barycentric(2.0 * np.outer(cosine, x).ravel() - 1.0, nodes)[:, :-1])


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
