"""Matrices of 600-bit numbers: python-flint's `arb_mat` with the radii dropped, so that a product is a float's.

Every float64 is exact in them. Rounding is 2^-600 of an entry, about 1e-180.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import flint
import numpy as np
from numpy.typing import NDArray

BITS: Final = 600
Number = Any  # flint.arb: python-flint ships no types
Matrix = Any  # flint.arb_mat


@contextmanager
def precisely() -> Iterator[None]:
    """Work in so many bits. The engine's own precision is not touched: it must be right by itself."""
    with flint.ctx.workprec(BITS):
        yield


def number(value: float | str) -> Number:
    """A float64 as it is, or decimal digits at full precision."""
    return flint.arb(value)


def matrix(rows: Sequence[Sequence[Any]] | NDArray[np.float64]) -> Matrix:
    """From rows of floats or numbers."""
    listed = rows.tolist() if isinstance(rows, np.ndarray) else rows
    return flint.arb_mat([list(row) for row in listed])


def zeros(rows: int, columns: int) -> Matrix:
    return flint.arb_mat(rows, columns)


def identity(n: int) -> Matrix:
    whole = flint.arb_mat(n, n)
    for i in range(n):
        whole[i, i] = flint.arb(1)
    return whole


def product(*factors: Matrix) -> Matrix:
    """From left to right."""
    result = factors[0]
    for factor in factors[1:]:
        result = (result * factor).mid()
    return result


def sandwich(outer: Matrix, inner: Matrix) -> Matrix:
    """A B A'."""
    return product(outer, inner, outer.transpose())


def symmetric(cov: Matrix) -> Matrix:
    return ((cov + cov.transpose()) * flint.arb(0.5)).mid()


def columns(whole: Matrix, places: Iterable[int]) -> Matrix:
    """The columns at `places`, which may be none."""
    listed = list(places)
    picked = flint.arb_mat(whole.nrows(), len(listed))
    for j, place in enumerate(listed):
        for i in range(whole.nrows()):
            picked[i, j] = whole[i, place]
    return picked


def rows(whole: Matrix, places: Iterable[int]) -> Matrix:
    listed = list(places)
    picked = flint.arb_mat(len(listed), whole.ncols())
    for i, place in enumerate(listed):
        for j in range(whole.ncols()):
            picked[i, j] = whole[place, j]
    return picked


def stacked(parts: Sequence[Matrix]) -> Matrix:
    """One above the other; all have as many columns."""
    whole = flint.arb_mat(sum(part.nrows() for part in parts), parts[0].ncols())
    first = 0
    for part in parts:
        for i in range(part.nrows()):
            for j in range(part.ncols()):
                whole[first + i, j] = part[i, j]
        first += part.nrows()
    return whole


def inverse(whole: Matrix) -> Matrix:
    """Of a regular matrix; what its balls cannot prove regular is tried again with more bits."""
    if not whole.nrows():
        return whole
    for factor in (1, 4, 16):
        try:
            with flint.ctx.workprec(BITS * factor):
                return whole.inv().mid()
        except ZeroDivisionError:
            continue
    raise ZeroDivisionError("the matrix is singular to 9,600 bits")


def floats(whole: Matrix) -> NDArray[np.float64]:
    """Rounded to float64."""
    entries = [float(entry) for entry in whole.entries()]
    return np.array(entries, dtype=np.float64).reshape(whole.nrows(), whole.ncols())


def size(whole: Matrix) -> float:
    """The largest entry's size."""
    return max((abs(float(entry)) for entry in whole.entries()), default=0.0)
