"""Algebra of a few states, one number per lane for every entry, written out by loops that run while tracing.

Triton knows vectors over lanes, whose sizes are powers of two, and keeps them in registers; a [3, 3, lanes] array
it could not hold. Symmetric matrices are read in their upper triangle alone and so stay symmetric.
"""

from collections.abc import Callable

import jax.numpy as jnp

from luna_serving.engines.statespace.gpu.lanes import Lanes

Vector = tuple[Lanes, ...]
Matrix = tuple[Vector, ...]


def as_type(vector: Vector, dtype: jnp.dtype) -> Vector:
    """Convert every entry to a number format."""
    return tuple(entry.astype(dtype) for entry in vector)


def dot(left: Vector, right: Vector) -> Lanes:
    """Multiply two vectors."""
    total = left[0] * right[0]
    for a, b in zip(left[1:], right[1:], strict=True):
        total = total + a * b
    return total


def matvec(matrix: Matrix, vector: Vector) -> Vector:
    """Multiply a matrix and a vector."""
    return tuple(dot(row, vector) for row in matrix)


def symmetric(states: int, entry: Callable[[int, int], Lanes]) -> Matrix:
    """The matrix with entry(i, j) for i <= j, mirrored."""
    upper = {(i, j): entry(i, j) for i in range(states) for j in range(i, states)}
    return tuple(tuple(upper[min(i, j), max(i, j)] for j in range(states)) for i in range(states))


def sandwich(outer: Matrix, inner: Matrix, added: Callable[[int, int], Lanes]) -> Matrix:
    """Multiply outer · inner · outer', `inner` symmetric, and add added(i, j) to its entry (i, j)."""
    half = [matvec(inner, row) for row in outer]
    return symmetric(len(outer), lambda i, j: dot(half[i], outer[j]) + added(i, j))
