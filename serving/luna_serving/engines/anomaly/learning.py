"""From histories to models: clean, find a pattern, choose level or trend and their noise, fit the scores' tails."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from luna_serving.engines.anomaly import season_fit, tails
from luna_serving.engines.anomaly.extremes import largest_episodes
from luna_serving.engines.anomaly.kalman import Filtered, Noise, filter_rows
from luna_serving.engines.anomaly.model import (
    EPISODES,
    FIRST_LEVEL,
    FIRST_SLOPE,
    Models,
    States,
    empty_states,
    unlearnt,
)
from luna_serving.engines.anomaly.panel import Floats, Ints, Panel
from luna_serving.engines.anomaly.running import Scored, run
from luna_serving.engines.anomaly.season import DAY_MS, pattern
from luna_serving.engines.anomaly.shifts import Sums, follow

FEWEST_SAMPLES: Final = 30
"""Fewer finite samples teach nothing."""
# Isolated samples so many robust deviations from the median of five are left out while pattern and noise are fitted.
ISOLATED: Final = 8.0
# Level and trend are chosen by the last samples: enough to tell gains of a thousandth apart.
SAMPLES_OF_CHOICE: Final = 4096
MOST_SCORED: Final = 10_080
"""A week of minutes."""
BURN_IN: Final = 20
LEVELS: Final = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 10.0, 1000.0)
# No trend below 1e-10: its slope would need ten thousand samples to turn.
SLOPES: Final = tuple((level, slope) for level in (1e-6, 1e-4, 1e-2, 1.0) for slope in (1e-10, 1e-8, 1e-6, 1e-4, 1e-2))
Q_LEVEL: Final = np.array([*LEVELS, *(level for level, _ in SLOPES)])
Q_SLOPE: Final = np.array([*(0.0 for _ in LEVELS), *(slope for _, slope in SLOPES)])
TREND: Final = np.array([*(False for _ in LEVELS), *(True for _ in SLOPES)])
# A trend costs two parameters in Schwarz' criterion.
TREND_PARAMETERS: Final = 2
# Student's t with five degrees of freedom judges candidates: no single shift of a level decides.
DEGREES: Final = 5.0
# Relative to the size of the values. Smaller scales are rounding; a series without noise has the second.
SMALLEST_SCALE: Final = 1e-13
SCALE_OF_CONSTANTS: Final = 1e-6
# The median score of a series that hardly ever changes is zero: below this share of the root mean square that counts.
RARE_CHANGES: Final = 1e-3
BYTES: Final = 96 * 2**20
PATIENCE_MS: Final = 3_600_000
LEAST_PATIENCE, MOST_PATIENCE = 12, 240


@dataclass(frozen=True, slots=True)
class Learnt:
    """What histories teach."""

    models: Models
    states: States
    """After the last sample of each history."""
    scored: Scored
    """The histories' own scores, by the models that know them."""


def learn(panel: Panel, most_scored: int = MOST_SCORED) -> Learnt:
    """Learns a model of each series of a panel.

    Args:
        panel: the histories.
        most_scored: of each history the pattern is fitted to all samples, noise and tails to so many of the last.
    """
    series = panel.times.shape[1]
    enough = np.flatnonzero(np.isfinite(panel.values).sum(axis=0) >= FEWEST_SAMPLES)
    models, states = unlearnt(series), empty_states(series)
    scored = Scored(*(np.full(panel.times.shape, np.nan) for _ in range(4)))
    if len(enough) == 0:
        return Learnt(models, states, scored)
    part = _learn(panel.columns(enough), most_scored)
    for name in Models.__slots__:
        getattr(models, name)[enough] = getattr(part.models, name)
    states.time[enough] = part.states.time
    for name in Filtered.__slots__:
        getattr(states.filtered, name)[enough] = getattr(part.states.filtered, name)
    for name in Sums.__slots__:
        getattr(states.sums, name)[enough] = getattr(part.states.sums, name)
    for name in Scored.__slots__:
        getattr(scored, name)[-most_scored:, enough] = getattr(part.scored, name)
    return Learnt(models, states, scored)


def _learn(panel: Panel, most_scored: int) -> Learnt:
    series = panel.times.shape[1]
    models = unlearnt(series)
    columns = [
        (panel.times[len(panel.times) - n :, i], panel.values[len(panel.times) - n :, i])
        for i, n in enumerate(panel.counts)
    ]
    models.learnt[:] = True
    models.learnt_at[:] = panel.times[-1]
    models.interval[:] = [float(np.median(np.diff(times[np.isfinite(values)]))) for times, values in columns]
    models.centre[:] = [np.nanmedian(values) for _, values in columns]
    models.patience[:] = np.clip(np.ceil(PATIENCE_MS / models.interval), LEAST_PATIENCE, MOST_PATIENCE)
    clean = np.full(panel.values.shape, np.nan)
    for i, (_, values) in enumerate(columns):
        clean[len(clean) - len(values) :, i] = without_isolated(values - models.centre[i])
    fitted = _learn_pattern(models, panel, clean)
    panel, clean = panel.tail(most_scored), clean[-most_scored:]
    recent = panel.tail(SAMPLES_OF_CHOICE)
    rest = clean[-SAMPLES_OF_CHOICE:] - pattern(recent.times, models.daily, models.weekly)
    _choose(models, recent, rest)
    scored, states = run(models, empty_states(series), panel)
    return _calibrate(models, states, scored, panel, fitted + 2.0)


def without_isolated(values: Floats) -> Floats:
    """Values whose isolated outliers are missing: those far from the median of the five around them."""
    present = np.flatnonzero(np.isfinite(values))
    seen = values[present]
    if len(seen) < FEWEST_SAMPLES:
        return values
    around = np.median(sliding_window_view(np.pad(seen, 2, mode="edge"), 5), axis=1)
    off = np.abs(seen - around)
    scale = tails.NORMAL_SCALE * float(np.median(off[off > 0])) if (off > 0).any() else 0.0
    result = values.copy()
    result[present[off > ISOLATED * scale]] = np.nan
    return result


def _learn_pattern(models: Models, panel: Panel, clean: Floats) -> Floats:
    """Writes the patterns into the models; the number of their coefficients by series."""
    series = len(models.learnt)
    first = panel.times[-1] - panel.times[len(panel.times) - panel.counts, np.arange(series)]
    widths = np.array(
        [season_fit.bin_minutes(models.interval[i], first[i] / DAY_MS) or 0 for i in range(series)], dtype=np.int64
    )
    fitted = np.zeros(series)
    for minutes in np.unique(widths[widths > 0]):
        lanes = np.flatnonzero(widths == minutes)
        rows = [len(clean) - panel.counts[i] for i in lanes]
        columns = [(panel.times[row:, i], clean[row:, i]) for i, row in zip(lanes, rows, strict=True)]
        found = season_fit.fit(columns, int(minutes), models.interval[lanes])
        models.daily[lanes], models.weekly[lanes], fitted[lanes] = found.daily, found.weekly, found.fitted
    return fitted


def _choose(models: Models, panel: Panel, rest: Floats) -> None:
    """Writes noise, kind and a first scale into the models: the candidate with the largest penalised likelihood."""
    step = max(1, BYTES // (16 * len(rest) * len(Q_LEVEL)))
    for start in range(0, len(models.learnt), step):
        lanes = np.arange(start, min(start + step, len(models.learnt)))
        gaps = np.diff(panel.times[:, lanes], axis=0, prepend=panel.times[:1, lanes]) / models.interval[lanes]
        best, scale = _best(gaps, rest[:, lanes])
        models.q_level[lanes], models.q_slope[lanes], models.trend[lanes] = Q_LEVEL[best], Q_SLOPE[best], TREND[best]
        size = np.maximum(np.abs(models.centre[lanes]), 1e-6)
        models.scale[lanes] = np.where(scale > SMALLEST_SCALE * size, scale, SCALE_OF_CONSTANTS * size)


def _best(gaps: Floats, values: Floats) -> tuple[Ints, Floats]:
    """The index of the best candidate of each series, and its scale."""
    series = values.shape[1]
    shape = (len(Q_LEVEL), series)
    present = np.isfinite(values)
    unit = _unit(values)
    values = values / unit
    rows = present.argmax(axis=0)
    state = Filtered(
        level=np.repeat(values[rows, np.arange(series)][None], len(Q_LEVEL), axis=0),
        slope=np.zeros(shape),
        p11=np.full(shape, FIRST_LEVEL),
        p12=np.zeros(shape),
        p22=np.where(TREND[:, None], np.full(shape, FIRST_SLOPE), 0.0),
        run=np.zeros(shape, dtype=np.int64),
        run_level=np.zeros(shape),
    )
    noise = Noise(Q_LEVEL[:, None], Q_SLOPE[:, None], np.inf, np.ones(series, dtype=np.int64))
    values[rows, np.arange(series)] = np.nan
    z, _, variances = filter_rows(gaps, values, state, noise, moments=True)
    skipped = BURN_IN if len(values) > 5 * BURN_IN else 0
    z, variances = z[skipped:], variances[skipped:]
    used = np.isfinite(z)
    count = np.maximum(used.sum(axis=0), 1)
    square = np.where(used, z * z, 0.0)
    scale2 = np.maximum(np.nanmedian(square[::3], axis=0) * tails.NORMAL_SCALE**2, 1e-300)
    for _ in range(4):
        scale2 = np.maximum(((DEGREES + 1) * square / (DEGREES + square / scale2)).sum(axis=0) / count, 1e-300)
    likelihood = (
        -0.5 * count * np.log(scale2)
        - 0.5 * np.where(used, np.log(variances), 0.0).sum(axis=0)
        - 0.5 * (DEGREES + 1) * np.log1p(square / (DEGREES * scale2)).sum(axis=0)
    )
    penalty = 0.5 * TREND_PARAMETERS * TREND[:, None] * np.log(count)
    best = np.argmax(likelihood - penalty, axis=0)
    chosen = z[:, best, np.arange(series)]
    typical = tails.NORMAL_SCALE * np.nanmedian(np.abs(chosen), axis=0)
    mean_square = np.sqrt(np.nanmean(chosen * chosen, axis=0))
    return best, np.where(typical > RARE_CHANGES * mean_square, typical, mean_square) * unit


def _unit(values: Floats) -> Floats:
    """A size of the values, so that no square underflows or overflows."""
    unit = np.nanmax(np.abs(values), axis=0)
    return np.where(unit > 0, unit, 1.0)


def _calibrate(models: Models, states: States, scored: Scored, panel: Panel, fitted: Floats) -> Learnt:
    """Fits the tails, makes the typical score's scale one, and keeps what alarms the history would have had."""
    found = tails.fit(panel.unpacked(scored.scores), fitted)
    unit = np.maximum((found.weights * found.scales).sum(axis=1), 1e-300)
    # A constant history, whose scores are all zero, keeps its scale.
    unit = np.where(unit * models.scale < SMALLEST_SCALE * np.maximum(np.abs(models.centre), 1e-6), 1.0, unit)
    models = replace(
        models,
        scale=models.scale * unit,
        samples=found.samples,
        weights=found.weights,
        scales=np.maximum(found.scales / unit[:, None], 1e-3),
        extremal_index=found.extremal_index,
        peaks=found.peaks,
    )
    filtered = states.filtered
    for array in (filtered.level, filtered.slope, filtered.run_level):
        np.divide(array, unit, out=array)
    scores = scored.scores / unit
    nothing = np.zeros(len(unit))
    sums, after = follow(models.tails, scores, Sums(nothing, nothing))
    for i, (one, sum_) in enumerate(zip(panel.unpacked(scores), panel.unpacked(sums), strict=True)):
        # Four digits, so that a model is the same after its way through JSON, and small there.
        for largest, values in ((models.largest_scores, one), (models.largest_sums, sum_)):
            largest[i] = [float(f"{each:.4g}") for each in largest_episodes(np.abs(values), EPISODES)]
    scored = Scored(scores, scored.means, scored.deviations * unit, sums)
    return Learnt(models, States(states.time, filtered, after), scored)
