"""The filter that the peers compute: a local level over a batch of series, with NumPy only.

Only the standard library and NumPy are imported: this runs in each peer's own environment.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from benchmarks.http.series import LEVEL_VAR, OBS_VAR

# As the original's.
PRIOR_VAR = 1e7


def filter_series(batch: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Return the filtered levels of each series.

    The loop runs over time; each step is done for all series at once.

    Args:
        batch: series of any lengths, one observation per period; None is missing.

    Returns:
        A list for each series, as long as it is.
    """
    lengths = [len(series) for series in batch]
    longest = max(lengths, default=0)
    # [time, series]: a step works on a contiguous row. Series that end early are missing from there on.
    values = np.full((longest, len(batch)), np.nan)
    for column, series in enumerate(batch):
        values[: lengths[column], column] = series  # None becomes NaN
    levels = filter_values(values)
    return [series[:length] for series, length in zip(levels.T.tolist(), lengths, strict=True)]


def filter_values(values: np.ndarray) -> np.ndarray:
    """Return the filtered levels, [time, series], of `values`, [time, series]; NaN is missing. May reuse `values`."""
    return _with_gaps(values) if np.isnan(values).any() else _complete(values)


def _complete(levels: np.ndarray) -> np.ndarray:
    """Nothing is missing: all series have the same gains, which do not depend on the values."""
    level = np.zeros(levels.shape[1])
    for row, gain in zip(levels, gains(len(levels)), strict=True):
        # In place: level + gain * (value - level).
        np.subtract(row, level, out=row)
        np.multiply(row, gain, out=row)
        level = np.add(row, level, out=row)
    return levels


def _with_gaps(values: np.ndarray) -> np.ndarray:
    level = np.zeros(values.shape[1])
    var = np.full(values.shape[1], PRIOR_VAR)
    levels = np.empty_like(values)
    for row, value, missing in zip(levels, values, np.isnan(values), strict=True):
        var = var + LEVEL_VAR
        gain = np.where(missing, 0.0, var / (var + OBS_VAR))
        level = level + gain * np.where(missing, 0.0, value - level)
        var = (1.0 - gain) * var
        row[:] = level
    return levels


@lru_cache(maxsize=128)
def gains(periods: int) -> tuple[float, ...]:
    """Return the Kalman gains of the first `periods` steps of a series without gaps."""
    var, found = PRIOR_VAR, []
    for _ in range(periods):
        var += LEVEL_VAR
        gain = var / (var + OBS_VAR)
        var *= 1.0 - gain
        found.append(gain)
    return tuple(found)
