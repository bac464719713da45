"""Reads series from JSON lists: one number per point, or a list of numbers per point for several elements."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from luna_serving.wire import problems
from luna_serving.wire.numbers import NUMBER_OR_NULL, infinite, is_finite
from luna_serving.wire.pointers import first
from luna_serving.wire.problems import FieldError

# A missing point is null; NaN and Infinity are not JSON.
Point = Annotated[float | None, Field(description="One observation; null where it is missing.")]


def check_series(pointer: str, series: object, observed: int) -> list[Any]:
    """Check a series of `observed` numbers per point; a single number is bare or in a list, the same way at all points.

    Raises:
        Problem: 422.
    """
    if not isinstance(series, list) or not series:
        raise problems.invalid(FieldError(pointer, "Must be a list of at least one number or null."))
    if observed > 1:
        what = f"of {observed} numbers or nulls: the model observes {observed} elements"
        _check_rows(pointer, series, observed, what)
    elif not set(map(type, series)) <= NUMBER_OR_NULL:
        if not _is_point_of_column(series[0]):
            raise problems.invalid(*first(misfits(pointer, series)))
        _check_rows(pointer, series, 1, "of one number or null, as the first point of this series")
    return series


def to_array(series: list[Any], observed: int) -> NDArray[np.float64]:
    """A checked series as an array: [T], or [T, m] if m > 1 elements are observed; NaN for a missing number."""
    array = np.array(series, dtype=np.float64)
    return array if observed > 1 else array.reshape(-1)


def misfits(pointer: str, series: list[Any]) -> Iterator[FieldError]:
    """The errors of elements that are neither finite numbers nor null."""
    for i, each in enumerate(series):
        if type(each) not in NUMBER_OR_NULL:
            yield FieldError(f"{pointer}/{i}", f"Must be a number or null, not {_name(each)}.")
        elif each is not None and not is_finite(each):
            yield infinite(f"{pointer}/{i}", or_null=True)


def _is_point_of_column(point: object) -> bool:
    return isinstance(point, list) and len(point) == 1


def _check_rows(pointer: str, series: list[Any], observed: int, what: str) -> None:
    if set(map(type, series)) != {list} or set(map(len, series)) != {observed}:
        wrong = (t for t, each in enumerate(series) if not isinstance(each, list) or len(each) != observed)
        raise problems.invalid(*first(FieldError(f"{pointer}/{t}", f"Must be a list {what}.") for t in wrong))
    if not set(map(type, chain.from_iterable(series))) <= NUMBER_OR_NULL:
        rows = enumerate(series)
        raise problems.invalid(*first(e for t, row in rows for e in misfits(f"{pointer}/{t}", row)))


def _name(value: object) -> str:
    names = {str: "a string", bool: "a boolean", dict: "an object", list: "a list"}
    return names.get(type(value), "this")
