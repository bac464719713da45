"""Two charts that people put on a metric instead: a rolling z-score, and an EWMA chart; both over the day before.

Their thresholds are those that independent normal samples exceed as often as asked for.
"""

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

WEIGHT = 0.2
"""Of the newest sample in the EWMA (Roberts 1959, "Control chart tests based on geometric moving averages")."""


def rolling(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the `window` samples before each; shape (..., time) as the values.

    The first samples have fewer before them; the very first has none, and a mean of itself.
    """
    centre = values.mean(axis=-1, keepdims=True)
    moved = values - centre
    zero = np.zeros((*values.shape[:-1], 1))
    sums = np.concatenate([zero, np.cumsum(moved, axis=-1)], axis=-1)
    squares = np.concatenate([zero, np.cumsum(moved * moved, axis=-1)], axis=-1)
    end = np.arange(values.shape[-1])
    low = np.maximum(end - window, 0)
    number = np.maximum(end - low, 1)
    mean = (sums[..., end] - sums[..., low]) / number
    variance = (squares[..., end] - squares[..., low]) / number - mean**2
    return mean + centre, np.sqrt(np.maximum(variance, 1e-12 * (1 + mean**2)))


def z_scores(values: np.ndarray, window: int) -> np.ndarray:
    """Deviations of each sample from the mean of those before."""
    mean, deviation = rolling(values, window)
    return np.abs(values - mean) / deviation


def ewma_scores(values: np.ndarray, window: int) -> np.ndarray:
    """Deviations of the exponentially weighted mean from the mean of the samples before, in its own deviations."""
    mean, deviation = rolling(values, window)
    total = lfilter([WEIGHT], [1, WEIGHT - 1], (values - mean) / deviation, axis=-1)
    return np.abs(total) / np.sqrt(WEIGHT / (2 - WEIGHT))


def limit(asked: float, per_week: float) -> float:
    """The score that a normal one exceeds so many times a week."""
    return float(-ndtri(asked / per_week / 2))
