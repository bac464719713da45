"""Daily and weekly patterns as sums of harmonics of UTC time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.anomaly.panel import Floats, Ints

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
DAILY: Final = 20
"""Harmonics of a day at most: the shortest has a period of 72 minutes."""
WEEKLY: Final = 27
"""Harmonics of a week at most, without the multiples of 7, which are those of a day."""
# Rows at a time, so that the powers stay in the cache.
BLOCK_VALUES: Final = 16_384

Complexes = NDArray[np.complex128]


def pattern(times: Ints, daily: Complexes, weekly: Complexes) -> Floats:
    """The pattern's values.

    Args:
        times: shape (rows, series), ms since 1970.
        daily: shape (series, harmonics): `c[k]` of `Re sum c[k] exp(i 2 pi (k+1) t / day)`.
        weekly: the same for a week.
    """
    result = np.zeros(times.shape)
    for coefficients, period in ((daily, DAY_MS), (weekly, WEEK_MS)):
        used = np.flatnonzero(coefficients.any(axis=0))
        lanes = np.flatnonzero(coefficients.any(axis=1))
        if len(used) == 0:
            continue
        kept = coefficients[lanes, : used[-1] + 1]
        rows = max(1, BLOCK_VALUES // len(lanes))
        for first in range(0, len(times), rows):
            block = times[first : first + rows]
            angle = (2 * np.pi / period) * (block[:, lanes] % period).astype(np.float64)
            result[first : first + rows, lanes] += _horner(kept, angle)
    return result


def _horner(coefficients: Complexes, angle: Floats) -> Floats:
    turn = np.exp(1j * angle)
    total = np.zeros(angle.shape, dtype=np.complex128)
    for k in range(coefficients.shape[1] - 1, -1, -1):
        total += coefficients[:, k]
        total *= turn
    return np.asarray(total.real)


def columns(times: Ints, period: int, harmonics: Ints) -> Floats:
    """Regressors, shape (times, 2 * harmonics): cosine and sine of each harmonic in turn."""
    angle = (2 * np.pi / period) * (times % period)[:, None] * harmonics
    return np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(times), -1)


def as_complex(coefficients: Floats) -> Complexes:
    """Coefficients of `columns` as those of `pattern`."""
    return coefficients[..., 0::2] - 1j * coefficients[..., 1::2]
