"""How far an answer is from its reference."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOOR: Final = 1e-3
"""Of a column's largest value: smaller values (a correlation near zero) are measured against this one, since their own
size says nothing about the digits of what they are differences of."""


def relative_error(got: NDArray[np.float64], want: Sequence[float | None]) -> float:
    """The largest relative error of a column.

    Raises:
        AssertionError: the two differ in where they have no value.
    """
    reference = np.array([np.nan if value is None else value for value in want])
    known = ~np.isnan(reference)
    differ = np.flatnonzero(known == np.isnan(got))
    assert len(differ) == 0, f"nulls differ at {differ[:5]}"
    if not known.any():
        return 0.0
    size = np.abs(reference[known])
    error = np.abs(got[known] - reference[known])
    floor = max(FLOOR * float(size.max()), np.finfo(np.float64).tiny)
    return float((error / np.maximum(size, floor)).max())
