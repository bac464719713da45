"""Moments of what is observed, Z state + d, in multi-precision: in float64 they cancel where states do."""

from typing import NamedTuple

import numpy as np

from luna_serving.statespace.multiprecision.arithmetic import ZERO, Floats, Matrix, nearest
from luna_serving.statespace.multiprecision.system import INPUT_ROUNDING, ExactSystem


class Signal(NamedTuple):
    """Of one period."""

    mean: Floats  # [m, series]
    cov: Floats  # [m, m]


def signal(system: ExactSystem, period: int, mean: Matrix, cov: Matrix) -> Signal:
    """The moments of the signal of a state with this mean [n, series] and covariance [n, n]."""
    design, intercept = system.signal(period)
    spread = design * cov * design.transpose()
    variances = nearest(spread)
    variances = (variances + variances.T) / 2
    return Signal(nearest(design * mean) + intercept[:, None], variances)


def diffuse_signal(
    system: ExactSystem, period: int, factor: Matrix | None
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which elements have an infinite variance [m]."""
    design, _ = system.signal(period)
    if factor is None:
        return np.zeros(design.nrows(), bool)
    seen = design * factor
    found = []
    for i in range(design.nrows()):
        size = sum(
            (abs(design[i, k] * factor[k, j]) for k in range(factor.nrows()) for j in range(factor.ncols())), ZERO
        )
        found.append(any(bool(abs(seen[i, j]) > INPUT_ROUNDING * size) for j in range(factor.ncols())))
    return np.array(found)
