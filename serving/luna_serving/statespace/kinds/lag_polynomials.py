"""Polynomials in the lag operator: products of regular and seasonal factors, and whether they are stationary."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.statespace.checks import ModelError, magnitude

Floats = NDArray[np.float64]
# As for a stationary start (`initial`): nearer to one, the unconditional moments have no digits left.
LARGEST_ROOT: Final = 1 - 1e-10


def coefficients(pointer: str, values: Sequence[float], count: int, order: str) -> Floats:
    """As many finite numbers as the order says.

    Raises:
        ModelError: there are more or fewer.
    """
    if len(values) != count:
        raise ModelError(pointer, f"must hold {count} coefficients, as {order} says; got {len(values)}")
    return np.array([magnitude(f"{pointer}/{i}", each) for i, each in enumerate(values)])


def product(regular: Floats, seasonal: Floats, period: int, sign: float) -> Floats:
    """The coefficients of lags 1, 2, ... of (1 + sign·a L + ...)(1 + sign·A L^s + ...), times sign."""
    factor = np.concatenate([[1.0], sign * regular])
    spread = np.eye(1, len(seasonal) * period + 1)[0]
    if len(seasonal):
        spread[period::period] = sign * seasonal
    both: Floats = np.convolve(factor, spread)[1:]
    return sign * both


def largest_root(ar: ArrayLike) -> float:
    """The largest eigenvalue's size of y[t] = ar[0] y[t-1] + ar[1] y[t-2] + ...; below 1 it is stationary."""
    return float(np.abs(np.roots(np.concatenate([[1.0], -np.asarray(ar, dtype=np.float64)]))).max(initial=0.0))


def require_stationary(pointer: str, ar: ArrayLike) -> None:
    """Refuse an autoregression that has no unconditional moments to start from.

    Raises:
        ModelError: it has none.
    """
    size = largest_root(ar)
    if not size < LARGEST_ROOT:
        raise ModelError(
            pointer,
            f"is not stationary (its largest root has size {size:.10g}, not below 1): difference the series, "
            'or start with "initial": {"kind": "diffuse"}',
        )
