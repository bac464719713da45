"""Series to learn from, with known truth."""

import numpy as np

MINUTE = 60_000
DAY = 1440
WEEK = 7 * DAY
START = 1_700_006_400_000
"""A midnight UTC."""


def times(count: int, step_ms: int = MINUTE, start: int = START) -> np.ndarray:
    return start + step_ms * np.arange(count, dtype=np.int64)


def season(stamps: np.ndarray) -> np.ndarray:
    """A daily pattern of two harmonics."""
    angle = 2 * np.pi * (stamps % (DAY * MINUTE)) / (DAY * MINUTE)
    return 10 * np.sin(angle) + 4 * np.cos(3 * angle + 1)


def noise(rng: np.random.Generator, shape: tuple[int, ...], degrees: float = np.inf) -> np.ndarray:
    return rng.standard_normal(shape) if np.isinf(degrees) else rng.standard_t(degrees, shape)


def batch(kind: str, rng: np.random.Generator, stamps: np.ndarray, series: int, degrees: float = np.inf) -> np.ndarray:
    """Shape (samples, series): clean series of a kind, noise of scale 3."""
    values = noise(rng, (len(stamps), series), degrees)
    if "season" in kind:
        values += season(stamps)[:, None]
    if "level" in kind:
        values += np.cumsum(0.1 * rng.standard_normal(values.shape), axis=0)
    if "trend" in kind:
        values += 0.01 * np.arange(len(stamps))[:, None]
    return 100 + 3 * values
