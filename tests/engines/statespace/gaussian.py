"""Whether draws come from a Gaussian, in every direction at once."""

import numpy as np


def assert_drawn_from(draws: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> None:
    """Draws [count, ...] of a Gaussian with that mean [...] and covariance, which may be singular.

    Rotated to independent standard normals, each mean and each (co)variance is held against its standard error. Five
    of them: with the hundreds of comparisons made here a right sampler stays below, and the seeds are fixed.
    """
    count = len(draws)
    draws, mean = draws.reshape(count, -1), mean.reshape(-1)
    scale = np.sqrt(np.where(np.diagonal(cov) > 0, np.diagonal(cov), 1.0))
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    there = values > 1e-9
    turned = ((draws - mean) / scale) @ vectors
    size = 1 + np.abs(mean / scale).max()
    assert np.abs(turned[:, ~there]).max(initial=0) < 1e-6 * size, "a direction without variance must not move"
    white = turned[:, there] / np.sqrt(values[there])
    assert np.abs(white.mean(axis=0)).max() * np.sqrt(count) < 5, "mean"
    off = white.T @ white / count - np.eye(white.shape[1])
    error = np.sqrt((1 + np.eye(white.shape[1])) / count)
    assert np.abs(off / error).max() < 5, "covariance"
