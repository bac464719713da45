"""Reads vectors and matrices of JSON into arrays, with errors that point to the wrong number."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np

from luna_serving.engines.finance.markowitz.api.problems import Floats
from luna_serving.wire import problems
from luna_serving.wire.numbers import infinite, is_finite
from luna_serving.wire.problems import FieldError

# Larger numbers overflow when they are squared and summed.
LARGEST: Final = 1e100
# How far a covariance may be from symmetric, relative to its largest element.
SYMMETRIC: Final = 1e-9


def vector(pointer: str, value: Sequence[Any], n: int, of: str) -> Floats:
    """A checked list of numbers as an array of n.

    Args:
        pointer: of the list.
        value: as `Numbers(1, 1)` admits it.
        n: how many there must be.
        of: what fixes that number.

    Raises:
        Problem: 422.
    """
    if len(value) != n:
        raise problems.invalid(FieldError(pointer, f"Must hold {n} numbers, as {of} does, not {len(value)}."))
    return array(pointer, value)


def matrix(pointer: str, value: object) -> Floats:
    """A list of rows of numbers as an array.

    Raises:
        Problem: 422.
    """
    if not isinstance(value, list) or not value:
        raise problems.invalid(FieldError(pointer, "Must be a list of rows of numbers."))
    for i, row in enumerate(value):
        if not isinstance(row, list) or not row:
            raise problems.invalid(FieldError(f"{pointer}/{i}", "Must be a list of at least one number."))
        if len(row) != len(value[0]):
            detail = f"Must hold {len(value[0])} numbers, as the first row does, not {len(row)}."
            raise problems.invalid(FieldError(f"{pointer}/{i}", detail))
        if not set(map(type, row)) <= {int, float}:
            j = next(j for j, each in enumerate(row) if type(each) not in {int, float})
            raise problems.invalid(FieldError(f"{pointer}/{i}/{j}", "Must be a number."))
    return array(pointer, value)


def covariance(pointer: str, value: Any, n: int | None) -> Floats:  # noqa: ANN401  JSON
    """A square, symmetric matrix; exactly symmetric afterwards.

    Raises:
        Problem: 422.
    """
    cov = matrix(pointer, value)
    rows, columns = cov.shape
    if rows != columns:
        raise problems.invalid(FieldError(pointer, f"Must be square, not {rows} x {columns}."))
    if n is not None and rows != n:
        raise problems.invalid(FieldError(pointer, f"Must be {n} x {n}, as /mean has {n} assets, not {rows} x {rows}."))
    off = np.abs(cov - cov.T)
    if float(off.max()) > SYMMETRIC * float(np.abs(cov).max()):
        i, j = (int(each) for each in np.unravel_index(int(off.argmax()), off.shape))
        detail = f"Must be symmetric: row {i}, column {j} is {cov[i, j]:.6g}, and its mirror {cov[j, i]:.6g}."
        raise problems.invalid(FieldError(f"{pointer}/{i}/{j}", detail))
    negative = np.flatnonzero(cov.diagonal() < 0)
    if len(negative):
        i = int(negative[0])
        raise problems.invalid(FieldError(f"{pointer}/{i}/{i}", "Is a variance, so it must not be negative."))
    symmetric: Floats = (cov + cov.T) / 2
    return symmetric


def array(pointer: str, value: Any) -> Floats:  # noqa: ANN401  JSON
    """Checked numbers as an array.

    Raises:
        Problem: 422, for numbers beyond float64, or too large to square.
    """
    try:
        found = np.array(value, dtype=np.float64)
    except OverflowError:
        found = np.array([np.inf])
    if not np.isfinite(found).all():
        raise problems.invalid(*islice(_infinite(pointer, value), 10))
    if found.size and float(np.abs(found).max()) > LARGEST:
        raise problems.invalid(FieldError(pointer, f"Holds a number above {LARGEST:g} in size: choose larger units."))
    return found


def _infinite(pointer: str, value: Any) -> Iterator[FieldError]:  # noqa: ANN401  JSON
    if isinstance(value, list):
        for i, each in enumerate(value):
            yield from _infinite(f"{pointer}/{i}", each)
    elif not is_finite(value):
        yield infinite(pointer, or_null=False)
