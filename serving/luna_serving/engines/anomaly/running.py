"""Scores of further samples, with states that advance."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.anomaly.kalman import Filtered, filter_rows
from luna_serving.engines.anomaly.lanes import filter_lanes
from luna_serving.engines.anomaly.model import CLIP, EMPTY, FIRST_LEVEL, FIRST_SLOPE, Models, States
from luna_serving.engines.anomaly.panel import Floats, Ints, Panel
from luna_serving.engines.anomaly.season import pattern
from luna_serving.engines.anomaly.shifts import follow

# What the filter reads and writes of a block of rows of many series then stays in the cache.
BLOCK: Final = 256
# Up to so many series a loop over Python's floats is faster than one over short arrays.
FEW_LANES: Final = 12


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of each sample before it comes, and how far off it is; shape (rows, series) each."""

    scores: Floats
    """Signed, in standard deviations of the prediction; NaN where missing, late, or the first of a series."""
    means: Floats
    """Predicted, in units of the values."""
    deviations: Floats
    """Standard deviations of the predictions, in units of the values."""
    sums: Floats
    """Evidence for a shift of the level, with its sign: `shifts.follow`."""


def normalised(models: Models, times: Ints, values: Floats) -> Floats:
    """Values without centre and pattern, in units of the noise."""
    return (values - models.centre - pattern(times, models.daily, models.weekly)) / models.scale


def run(
    models: Models, states: States, panel: Panel, clip: float = CLIP, trace: Floats | None = None
) -> tuple[Scored, States]:
    """Scores a panel's samples; the states passed are not changed.

    Samples not later than a state's last are ignored: sending them twice changes nothing.

    Args:
        models: of the series.
        states: after the samples before.
        panel: further samples.
        clip: see `Noise`.
        trace: shape (rows, 5, series), see `filter_rows`.
    """
    rows, series = panel.times.shape
    state, time = states.filtered.copied(), states.time.copy()
    late = panel.times <= time
    times = np.maximum(panel.times, time)
    values = normalised(models, times, np.where(late, np.nan, panel.values))
    values[:, ~models.learnt] = np.nan
    scored = Scored(*(np.full((rows, series), np.nan) for _ in range(4)))
    if rows == 0:
        return scored, states
    _begin(models, state, time, times, values)
    gaps = np.diff(np.maximum(times, time), axis=0, prepend=time[None]) / models.interval
    gaps[:, time == EMPTY] = 0.0
    noise, tails, sums = models.noise(clip), models.tails, states.sums
    filtering, step = (filter_lanes, rows) if series <= FEW_LANES else (filter_rows, BLOCK)
    for first in range(0, rows, step):
        block = slice(first, first + step)
        z, means, variances = filtering(
            gaps[block], values[block], state, noise, moments=True, trace=None if trace is None else trace[block]
        )
        scored.scores[block] = z
        scored.sums[block], sums = follow(tails, z, sums)
        scored.means[block] = models.centre + models.scale * means
        scored.deviations[block] = models.scale * np.sqrt(variances)
    scored.means[...] += pattern(times, models.daily, models.weekly)
    last = np.where(panel.counts > 0, np.maximum(times[-1], time), time)
    return scored, States(np.where(time == EMPTY, EMPTY, last), state, sums)


def _begin(models: Models, state: Filtered, time: Ints, times: Ints, values: Floats) -> None:
    """Puts the first sample of empty series into their states, and takes it out of the values."""
    present = np.isfinite(values)
    lanes = np.flatnonzero((time == EMPTY) & present.any(axis=0))
    if len(lanes) == 0:
        return
    rows = present[:, lanes].argmax(axis=0)
    time[lanes] = times[rows, lanes]
    state.level[lanes] = values[rows, lanes]
    state.p11[lanes] = FIRST_LEVEL
    state.p22[lanes] = np.where(models.trend[lanes], FIRST_SLOPE, 0.0)
    values[rows, lanes] = np.nan
