"""The reference: a Kalman filter of one series as the textbook has it, in NumPy and float64, with a loop over time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Answer(NamedTuple):
    means: Floats  # [time, state]
    covs: Floats  # filtered [time, state, state]
    gains: Floats  # [time, state]; zero where the observation is missing
    mean: Floats  # predicted after the last row
    cov: Floats
    loglike: float


def kalman(
    transition: Floats,
    design: Floats,
    obs_var: float,
    intercept: Floats,
    state_cov: Floats,
    y: Floats,
    mean: Floats,
    cov: Floats,
) -> Answer:
    """Start from the moments of the state predicted before y[0]; NaN is a missing observation."""
    identity = np.eye(len(design))
    means, covs, gains, loglike = [], [], [], 0.0
    for value in y:
        gain = np.zeros_like(design)
        if not np.isnan(value):
            var = design @ cov @ design + obs_var
            gain = cov @ design / var
            error = value - design @ mean
            loglike -= 0.5 * (np.log(2 * np.pi) + np.log(var) + error**2 / var)
            mean = mean + gain * error
            unexplained = identity - np.outer(gain, design)
            cov = unexplained @ cov @ unexplained.T + obs_var * np.outer(gain, gain)
        means.append(mean)
        covs.append(cov)
        gains.append(gain)
        mean = transition @ mean + intercept
        cov = transition @ cov @ transition.T + state_cov
    return Answer(np.array(means), np.array(covs), np.array(gains), mean, cov, float(loglike))
