"""Polynomials in the lag operator: products of regular and seasonal factors, and whether they are stationary."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from flint import arb
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.kinds.autocovariances import BITS, LARGEST_BITS, is_stationary
from luna_serving.engines.statespace.model.checks import ModelError, magnitude
from luna_serving.engines.statespace.process.precise import bits

Floats = NDArray[np.float64]
# Nearer to one, a filter that starts from the unconditional variance has no digits left of the first observation.
LARGEST_ROOT: Final = 1 - 5e-11
# With coefficients whose sizes add up to no more, no root comes near to one.
SURELY_STATIONARY: Final = 0.99


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
    if not _roots_below(np.asarray(ar, dtype=np.float64)):
        raise ModelError(
            pointer,
            f"is not stationary (its largest root has size {largest_root(ar):.10g}, not below 1): difference the "
            'series, or start with "initial": {"kind": "diffuse"}',
        )


def _roots_below(ar: Floats) -> bool:
    """Whether all roots are below `LARGEST_ROOT` in size, exactly: float64 knows a double root to 8 digits only."""
    if np.abs(ar).sum() <= SURELY_STATIONARY:
        return True
    ar = np.trim_zeros(ar, "b")
    precision = BITS
    while precision <= LARGEST_BITS:
        with bits(precision):
            scaled = [arb(1), *(-arb(each) / arb(LARGEST_ROOT) ** (j + 1) for j, each in enumerate(ar.tolist()))]
            found = is_stationary(scaled)
        if found is not None:
            return found
        precision *= 2
    return False
