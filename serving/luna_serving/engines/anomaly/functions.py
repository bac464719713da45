"""Scores, bands, forecasts and probabilities at the steps of a range query; `causal` says what is known when."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from luna_serving.engines.anomaly import crossing
from luna_serving.engines.anomaly.causal import HOUR_MS, Piece, pieces
from luna_serving.engines.anomaly.memory import Memory
from luna_serving.engines.anomaly.panel import Floats, Ints, Series
from luna_serving.engines.anomaly.season import pattern

LOOK_BACK_MS: Final = 300_000
"""A sample is the present one for so long, as in PromQL."""
LONGEST_GAP_MS: Final = HOUR_MS
"""Bands and forecasts go on for so long after the last sample."""
# Series at a time: the states after all samples of a day are kept.
SERIES: Final = 64


def _nothing() -> None:
    """No check."""


def score(
    series: Sequence[Series], steps_ms: Ints, check: Callable[[], None] = _nothing, memory: Memory | None = None
) -> Floats:
    """How far the last sample up to each step is from its prediction, in standard deviations of the noise, signed.

    Args:
        series: samples from `history_start(first step)` on.
        steps_ms: ascending.
        check: called regularly; may raise to end the computation.
        memory: of what was learnt before; changes no answer.

    Returns:
        Shape (series, steps); NaN without a sample in the 5 minutes before, or without a model.
    """
    result = np.full((len(series), len(steps_ms)), np.nan)
    for lanes, piece in _all(series, steps_ms, check, memory):
        fresh = piece.times - piece.last < LOOK_BACK_MS
        result[lanes, piece.steps] = np.where(fresh, piece.scores, np.nan)
    return result


def band(
    series: Sequence[Series],
    steps_ms: Ints,
    q: Floats | float,
    check: Callable[[], None] = _nothing,
    memory: Memory | None = None,
) -> Floats:
    """The q-quantile of what the last sample up to each step was predicted to be, from the samples before it.

    A sample is above `band(0.99)` as often as 1 % of noise is. Where no sample came in the last 5 minutes, it is the
    quantile for the step itself, wider with every missing sample, until an hour after the last one.

    Args:
        series: samples from `history_start(first step)` on.
        steps_ms: ascending.
        q: in (0, 1); one number, or one per step.
        check: called regularly; may raise to end the computation.
        memory: of what was learnt before; changes no answer.

    Returns:
        Shape (series, steps), in units of the values; NaN without a model or a sample in the hour before.

    Raises:
        ValueError: q is not between 0 and 1.
    """
    quantiles = np.broadcast_to(np.asarray(q, dtype=np.float64), steps_ms.shape)
    if not ((quantiles > 0) & (quantiles < 1)).all():
        raise ValueError("the quantile of luna_band must be between 0 and 1, both excluded")
    result = np.full((len(series), len(steps_ms)), np.nan)
    for lanes, piece in _all(series, steps_ms, check, memory):
        fresh = piece.times - piece.last < LOOK_BACK_MS
        mean, variance = _ahead(piece, np.zeros(len(piece.times)))
        deviation = piece.models.scale[:, None] * np.sqrt(variance + 1)
        mean = np.where(fresh & np.isfinite(piece.means), piece.means, mean)
        deviation = np.where(fresh & np.isfinite(piece.means), piece.deviations, deviation)
        of_steps = quantiles[piece.steps]
        for one in np.unique(of_steps):
            tail = np.full((len(piece.last), 1), 2 * min(one, 1 - one))
            size = piece.models.tails.score_exceeded_with(tail) * np.sign(one - 0.5)
            at = np.flatnonzero(of_steps == one)
            value = mean[:, at] + size * deviation[:, at]
            result[lanes, piece.steps.start + at] = np.where(_known(piece)[:, at], value, np.nan)
    return result


def forecast(
    series: Sequence[Series],
    steps_ms: Ints,
    ahead_s: Floats | float,
    check: Callable[[], None] = _nothing,
    memory: Memory | None = None,
) -> Floats:
    """The mean of the series so many seconds after each step, from the samples up to the step.

    Args:
        series: samples from `history_start(first step)` on.
        steps_ms: ascending.
        ahead_s: zero or more; one number, or one per step.
        check: called regularly; may raise to end the computation.
        memory: of what was learnt before; changes no answer.

    Returns:
        Shape (series, steps), in units of the values; NaN without a model or a sample in the hour before.

    Raises:
        ValueError: a negative or infinite duration.
    """
    ahead = _durations("luna_forecast", ahead_s, steps_ms)
    result = np.full((len(series), len(steps_ms)), np.nan)
    for lanes, piece in _all(series, steps_ms, check, memory):
        mean, _ = _ahead(piece, ahead[piece.steps])
        result[lanes, piece.steps] = np.where(_known(piece), mean, np.nan)
    return result


def probability_of_crossing(
    series: Sequence[Series],
    steps_ms: Ints,
    threshold: Floats | float,
    ahead_s: Floats | float,
    check: Callable[[], None] = _nothing,
    memory: Memory | None = None,
) -> Floats:
    """The probability that at least one sample within so many seconds after each step exceeds the threshold.

    Samples are expected at every sampling interval after the step, one at least; see `crossing`.

    Args:
        series: samples from `history_start(first step)` on.
        steps_ms: ascending.
        threshold: in units of the values; one number, or one per step.
        ahead_s: zero or more; one number, or one per step.
        check: called regularly; may raise to end the computation.
        memory: of what was learnt before; changes no answer.

    Returns:
        Shape (series, steps); NaN without a model or a sample in the hour before.

    Raises:
        ValueError: a negative or infinite duration.
    """
    ahead = _durations("luna_prob_cross", ahead_s, steps_ms)
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), steps_ms.shape)
    result = np.full((len(series), len(steps_ms)), np.nan)
    for lanes, piece in _all(series, steps_ms, check, memory):
        rows, columns = np.nonzero(_known(piece) & np.isfinite(limits[piece.steps]))
        at = piece.steps.start + columns
        gaps = _gaps(piece)[rows, columns]
        found = crossing.probability(
            piece.models,
            rows,
            piece.times[columns],
            gaps,
            piece.state[:, rows, columns],
            limits[at],
            1000 * ahead[at],
        )
        result[lanes.start + rows, at] = found
    return result


def _durations(name: str, ahead_s: Floats | float, steps_ms: Ints) -> Floats:
    ahead = np.broadcast_to(np.asarray(ahead_s, dtype=np.float64), steps_ms.shape)
    if not ((ahead >= 0) & np.isfinite(ahead)).all():
        raise ValueError(f"the duration of {name} must be a finite number of seconds, zero or more")
    return ahead


def _all(
    series: Sequence[Series], steps_ms: Ints, check: Callable[[], None], memory: Memory | None
) -> Iterator[tuple[slice, Piece]]:
    """The pieces of some series after the other."""
    for first in range(0, len(series), SERIES):
        some = series[first : first + SERIES]
        for piece in pieces(some, steps_ms, check, memory):
            yield slice(first, first + len(some)), piece


def _known(piece: Piece) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where there is a model and a sample that is not too old."""
    return np.asarray(piece.models.learnt[:, None] & (piece.times - piece.last < LONGEST_GAP_MS))


def _gaps(piece: Piece) -> Floats:
    """Sampling intervals between the last sample and the step."""
    gap = np.where(piece.models.learnt[:, None], piece.times - piece.last, 0)
    return np.asarray(gap / piece.models.interval[:, None])


def _ahead(piece: Piece, ahead_s: Floats) -> tuple[Floats, Floats]:
    """Mean so long after the steps, in units of the values, and the signal's variance in units of the noise's."""
    models = piece.models
    gap = _gaps(piece) + 1000 * ahead_s / models.interval[:, None]
    level, slope, p11, p12, p22 = piece.state
    q_level, q_slope = models.q_level[:, None], models.q_slope[:, None]
    variance = p11 + gap * (2 * p12 + gap * (p22 + gap * q_slope / 3) + q_level)
    stamps = np.broadcast_to(piece.times + (1000 * ahead_s).astype(np.int64), gap.shape)
    season = pattern(stamps.T, models.daily, models.weekly).T
    return models.centre[:, None] + models.scale[:, None] * (level + slope * gap) + season, variance
