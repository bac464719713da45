"""The state after a series, which can be stored and continued from later."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Digits(NamedTuple):
    """The next 53 bits of a saved state's numbers."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    diffuse: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """The state before the next observation: all that the past has to say about the future.

    Filtering on from it gives, to the last digit, what one pass over everything would have given.
    """

    mean: NDArray[np.float64]  # a [n]
    cov: NDArray[np.float64]  # P* [n, n], the finite part
    diffuse: NDArray[np.float64]  # A [n, n]; the diffuse part is P∞ = A A', zero once the diffuse phase is over
    rank: int  # of A
    period: int  # of the next observation, counted from 0: where matrices that vary in time go on
    nobs_diffuse: int  # periods that began diffuse
    # S [n, n], cov = S S', where the square-root filter left it; cov alone would have half of its digits.
    root: NDArray[np.float64] | None = None
    # Of mean, cov and diffuse, where float64 has too few digits: what rounding took, what that left, and so on.
    digits: tuple["Digits", ...] = ()
