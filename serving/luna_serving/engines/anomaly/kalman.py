"""The Kalman filter of a local level or local linear trend in continuous time, over many lanes at once.

Harvey (1989), "Forecasting, Structural Time Series Models and the Kalman Filter", section 9.2: over a gap of d sampling
intervals the level gains variance `q_level d + q_slope d^3 / 3`, so that a missing sample widens the band. All is in
units of the observation noise: its variance is 1, and P stands for variances of the state divided by it. Without a
slope P12, P22 and `q_slope` are zero, and the same recursion is that of a local level.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from luna_serving.engines.anomaly.panel import Bools, Floats, Ints

# The weight of the newest sample in the mean of a run, and the variance of such a mean of independent samples.
RUN_WEIGHT: Final = 0.25
RUN_VARIANCE: Final = RUN_WEIGHT / (2 - RUN_WEIGHT)


@dataclass(slots=True)
class Filtered:
    """The state after the last row; every array has the shape of the lanes."""

    level: Floats
    slope: Floats
    """Per sampling interval."""
    p11: Floats
    p12: Floats
    p22: Floats
    run: Ints
    """Consecutive samples far above (positive) or below (negative) the prediction."""
    run_level: Floats
    """Weighted mean of the samples of the run."""

    def copied(self) -> "Filtered":
        """A state that may be changed without changing this one."""
        return replace(self, **{name: getattr(self, name).copy() for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Noise:
    """What the recursion needs of a model, in units of the observation noise; arrays that broadcast to the lanes."""

    q_level: Floats
    q_slope: Floats
    clip: float
    """Innovations beyond so many standard deviations move the state no further (Huber); infinite: the plain filter."""
    patience: Ints
    """A run of so many samples is a new level."""


def _predict(state: Filtered, gap: Floats, noise: Noise) -> None:
    """Moves level and slope on by a gap in sampling intervals, in place."""
    state.level += state.slope * gap
    state.p11 += gap * (2 * state.p12 + gap * (state.p22 + gap * noise.q_slope / 3) + noise.q_level)
    state.p12 += gap * (state.p22 + gap * noise.q_slope / 2)
    state.p22 += gap * noise.q_slope


def filter_rows(
    gaps: Floats,
    values: Floats,
    state: Filtered,
    noise: Noise,
    *,
    moments: bool = False,
    trace: Floats | None = None,
) -> list[Floats]:
    """Filters row by row, and changes the state.

    Args:
        gaps: shape (rows, series): sampling intervals since the row before; 0 in padding.
        values: shape (rows, series): in units of the noise; NaN where missing, where the state is only predicted.
        state: of lanes of shape (..., series).
        noise: that of the model.
        moments: whether means and variances are returned, too.
        trace: shape (rows, 5, ..., series), where level, slope, P11, P12 and P22 after each row are written.

    Returns:
        Innovations in standard deviations of their prediction, shape (rows, ..., series), NaN where missing; with
        `moments` also the predicted means and variances of the observations.
    """
    shape = (len(values), *state.level.shape)
    scores = np.empty(shape)
    means, variances = (np.empty(shape), np.empty(shape)) if moments else (scores, scores)
    trend = bool(state.p22.any() or noise.q_slope.any())
    robust = np.isfinite(noise.clip)
    low, high = -noise.clip, noise.clip
    patience = np.broadcast_to(noise.patience, state.run.shape)
    missing: Bools = np.isnan(values)
    some_missing = np.asarray(missing.any(axis=1))
    for row in range(len(values)):
        gap = gaps[row]
        if trend:
            _predict(state, gap, noise)
        else:
            state.p11 += gap * noise.q_level
        variance = state.p11 + 1
        deviation = np.sqrt(variance)
        score = scores[row]
        np.subtract(values[row], state.level, out=score)
        score /= deviation
        if moments:
            means[row], variances[row] = state.level, variance
        surprise = np.minimum(np.maximum(score, low), high) if robust else score.copy()
        surprise *= deviation
        gain = state.p11 / variance
        if some_missing[row]:
            lanes = missing[row]
            surprise[..., lanes] = 0.0
            gain[..., lanes] = 0.0
        state.level += gain * surprise
        if trend:
            slope_gain = state.p12 / variance
            if some_missing[row]:
                slope_gain[..., lanes] = 0.0
            state.slope += slope_gain * surprise
            state.p22 -= slope_gain * state.p12
            state.p12 -= gain * state.p12
        gain *= state.p11
        state.p11 -= gain
        if robust:
            _follow_runs(score, values[row], state, noise, patience)
        if trace is not None:
            trace[row] = state.level, state.slope, state.p11, state.p12, state.p22
    return [scores, means, variances] if moments else [scores]


def _follow_runs(score: Floats, value: Floats, state: Filtered, noise: Noise, patience: Ints) -> None:
    """Counts samples far from the prediction on the same side, and takes a long run as the new level."""
    lanes = np.flatnonzero((np.abs(score) > noise.clip) | (state.run != 0))
    if len(lanes) == 0:
        return
    z = score[lanes]
    seen = np.isfinite(z)
    if not seen.all():
        lanes, z = lanes[seen], z[seen]
    run, y, mean = state.run[lanes], value[lanes], state.run_level[lanes]
    side = np.sign(z).astype(np.int64)
    size = np.abs(z)
    goes_on = (side * run > 0) & (size > noise.clip / 2)
    run = np.where(goes_on, run + side, np.where(size > noise.clip, side, 0))
    state.run[lanes] = run
    state.run_level[lanes] = np.where(goes_on, mean + RUN_WEIGHT * (y - mean), y)
    long = np.abs(run) >= patience[lanes]
    if not long.any():
        return
    accepted = lanes[long]
    state.level[accepted] = state.run_level[accepted]
    state.p11[accepted] = (state.p11[accepted] + 1) * RUN_VARIANCE
    state.p12[accepted] = 0.0
    state.run[accepted] = 0
