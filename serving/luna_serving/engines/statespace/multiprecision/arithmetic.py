"""Matrices of 512-bit floating-point numbers, and the way from float64 and back.

The numbers are FLINT's balls with their radii dropped after each step: what is wanted is precision, and error bounds
that grow with every product would soon contain zero. 512 bits are 154 decimal digits: a covariance recursion loses
the square of its condition number, and models with variances from 1e-30 to 1e30 leave more than 30 digits.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Final, TypeVar

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = arb_mat
Number = arb
Value = TypeVar("Value")

ZERO: Final = arb(0)
ONE: Final = arb(1)


def exact(array: Floats) -> Matrix:
    """The matrix [rows, columns] of exactly these numbers; a vector becomes a column."""
    return arb_mat(array.tolist() if array.ndim == 2 else [[each] for each in array.tolist()])


def row_of(array: Floats) -> Matrix:
    """A vector [n] as a matrix [1, n]."""
    return arb_mat([array.tolist()])


def nearest(matrix: Matrix) -> Floats:
    """The nearest float64 of each number [rows, columns]."""
    numbers = np.array([float(each) for each in matrix.entries()], dtype=np.float64)
    return numbers.reshape(matrix.nrows(), matrix.ncols())


def diagonal(matrix: Matrix) -> Floats:
    """The nearest float64 of each number on the diagonal of a square matrix [n]."""
    return np.array([float(matrix[i, i]) for i in range(matrix.nrows())])


def zeros(rows: int, columns: int) -> Matrix:
    """A matrix of zeros."""
    return arb_mat(rows, columns)


def outer(column: Matrix, row: Matrix, factor: Number) -> Matrix:
    """The product of a column [n, 1] and a row [1, k], times a number."""
    return (column * factor) * row


def squared(numbers: Iterable[Number]) -> Number:
    """The sum of their squares. Not by `**`, which is not a number for a ball that contains zero."""
    return sum((each * each for each in numbers), start=ZERO)


def log(number: Number) -> float:
    """The natural logarithm of a number above zero, which float64 need not hold."""
    return float(number.log())


class Memo:
    """Matrices that recur over time, converted once each."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Matrix] = {}

    def __call__(self, array: Floats, convert: Callable[[Floats], Matrix] = exact) -> Matrix:
        """The matrix of an array."""
        key = (array.shape, array.tobytes())
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = convert(array)
        return known
