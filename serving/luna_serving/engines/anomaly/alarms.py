"""From scores and sums to alarms, at a number of false alarms per week, with a caution that follows what happens.

Each sample has a surprise: the largest caution at which it is an alarm. The caution of a series is zero to begin with;
at zero a sample is an alarm if its score, or the sum of `shifts`, is rarer in noise than asked for. Three things set
the rate:

1. The two statistics share the number asked for: `SHARE_OF_SUMS` of it is for the sums.
2. The history is replayed: what it had more often than a Poisson variable of the number asked for explains is no alarm.
   No model of the noise is needed for that (Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World",
   chapter 2: ranks of exchangeable scores).
3. Each alarm adds one to the caution, which sinks by one in the time in which one alarm is expected (Gibbs and Candes
   2021, "Adaptive conformal inference under distribution shift", NeurIPS 34, eq. 2). Of a caution of c a sample must be
   `exp(STEP c)` times rarer, and `exp(STRETCH c)` times as large: the first suits tails heavier than the model's, the
   second noise that has grown. The caution after a time is the number of alarms less that asked for, and it is bounded,
   so the rate comes to that asked for whatever the noise does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import pdtr

from luna_serving.engines.anomaly.model import EPISODES, Models
from luna_serving.engines.anomaly.panel import Bools, Floats, Ints
from luna_serving.engines.anomaly.season import WEEK_MS
from luna_serving.engines.anomaly.shifts import crossings
from luna_serving.engines.anomaly.tails import FEWEST_EPISODES, SAMPLES_PER_EPISODE, Tails

SHARE_OF_SUMS: Final = 0.25
"""Heavy tails make a smaller probability dear for single samples; the sums' threshold rises by 0.7 for a quarter."""
STEP: Final = 2.0
STRETCH: Final = 0.1
LEAST: Final = -0.5
MOST: Final = 30.0
"""Bounds of the caution: after a quiet time the rate is 2.7 times that asked for."""
BISECTIONS: Final = 12
# Samples with smaller scores and sums are no alarms at any rate: a tenth of all noise has larger sums.
SMALL_SCORE, SMALL_SUM = 0.7, 2.0
# Of longer spans samples are first compared with a threshold, which costs as much as 64 probabilities.
LONG: Final = 64
# The history may have had as many alarms as chance explains in 95 of 100 cases.
CHANCE: Final = 0.95
# Samples beyond `LARGEST_PROBABILITY` would be an alarm at every tenth sample.
LARGEST_PROBABILITY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Caution:
    """What a rule remembers of a series' alarms."""

    size: float = 0.0
    """Surprise that is needed, at the time."""
    time: int = 0
    """Of the last sample, ms; 0 before the first."""
    alarm: bool = False
    """Whether that sample was an alarm: the next one begins no other."""
    held: float = 0.0
    """While an alarm lasts: the caution when it began."""


def thresholds(models: Models, false_alarms_per_week: float) -> tuple[Floats, Floats]:
    """The absolute score, and the sum, beyond which a sample is an alarm at a caution of zero; shape (series,) each.

    NaN where nothing is learnt.

    Args:
        models: of the series.
        false_alarms_per_week: on average, over both directions; those of one cluster count once.

    Raises:
        ValueError: a number that is not positive.
    """
    asked = _per_sample(models, false_alarms_per_week)
    index = models.extremal_index
    score = models.tails.score_exceeded_with(np.minimum((1 - SHARE_OF_SUMS) * asked / index, LARGEST_PROBABILITY))
    levels = np.linspace(0, 10, 2001)
    total = np.interp(np.log(SHARE_OF_SUMS * asked), np.log(crossings(levels))[::-1], levels[::-1])
    floor_score, floor_sum = _floors(models, false_alarms_per_week)
    unknown = np.where(models.learnt, 0.0, np.nan)
    return np.maximum(score, floor_score) + unknown, np.maximum(total, floor_sum) + unknown


def alarms(
    models: Models,
    false_alarms_per_week: float,
    times: Sequence[Ints],
    scores: Sequence[Floats],
    sums: Sequence[Floats],
    cautions: Sequence[Caution],
) -> tuple[list[Bools], list[Caution]]:
    """Which samples are alarms.

    Args:
        models: of the series.
        false_alarms_per_week: as for `thresholds`.
        times: of the samples of each series, ms, ascending.
        scores: of the samples, from `advance`.
        sums: the same.
        cautions: after the samples before.

    Returns:
        Per series whether each sample is part of an alarm; and the cautions after.

    Raises:
        ValueError: a number that is not positive.
    """
    counts = np.array([len(one) for one in scores], dtype=np.int64)
    lanes = np.repeat(np.arange(len(counts)), counts)
    surprise = _surprises(models, false_alarms_per_week, lanes, _joined(scores), _joined(sums))
    ends = np.cumsum(counts)
    found, after = [], []
    for i, end in enumerate(ends):
        of = surprise[end - counts[i] : end]
        one, caution = _of_series(times[i], of, scores[i], cautions[i], false_alarms_per_week / WEEK_MS)
        found.append(one)
        after.append(caution)
    return found, after


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if len(parts) else np.zeros(0)


def _per_sample(models: Models, false_alarms_per_week: float) -> Floats:
    if false_alarms_per_week <= 0:
        raise ValueError(f"false_alarms_per_week is {false_alarms_per_week}: it must be positive")
    return np.asarray(false_alarms_per_week * models.interval / WEEK_MS)


def _floors(models: Models, false_alarms_per_week: float) -> tuple[Floats, Floats]:
    """Scores and sums that the history had more often than chance explains are no alarms."""
    expected = _per_sample(models, false_alarms_per_week) * models.samples
    # As many may be anomalies that alarms are for: `tails.calm`. They come on top of what chance brings.
    left_out = np.maximum(models.samples // SAMPLES_PER_EPISODE, FEWEST_EPISODES)
    floors = []
    for share, largest in ((1 - SHARE_OF_SUMS, models.largest_scores), (SHARE_OF_SUMS, models.largest_sums)):
        # The Poisson distribution's quantile.
        chance = (pdtr(np.arange(EPISODES)[:, None], share * expected) < CHANCE).sum(axis=0)
        allowed = chance + left_out.astype(np.int64)
        lanes = np.arange(len(allowed))
        floors.append(np.where(allowed < EPISODES, largest[lanes, np.minimum(allowed, EPISODES - 1)], 0.0))
    return floors[0], floors[1]


def _surprises(models: Models, false_alarms_per_week: float, lanes: Ints, scores: Floats, sums: Floats) -> Floats:
    """Of each sample; minus infinity where it is no alarm at any caution."""
    asked = _per_sample(models, false_alarms_per_week)
    floor_score, floor_sum = _floors(models, false_alarms_per_week)
    size, total = np.abs(scores), np.abs(sums)
    least = np.full(len(asked), SMALL_SCORE)
    if len(scores) > LONG * len(asked):
        rare = np.exp(-STEP * LEAST) * (1 - SHARE_OF_SUMS) * asked / models.extremal_index
        least = models.tails.score_exceeded_with(np.minimum(rare, LARGEST_PROBABILITY)) * (1 - 1e-6)
    is_large = size > np.maximum(np.maximum(least, floor_score), SMALL_SCORE)[lanes]
    is_sum = total > np.maximum(floor_sum, SMALL_SUM)[lanes]
    at = np.flatnonzero(is_large | is_sum)
    of = lanes[at]
    tails, asked, index = models.tails.chosen(of), asked[of], models.extremal_index[of]
    size, total = np.where(is_large, size, 0.0)[at], np.where(is_sum, total, 0.0)[at]
    result = np.full(len(scores), -np.inf)
    result[at] = _rarer(tails, index, asked, size, total) / STEP
    some = np.flatnonzero(result[at] > 0)
    if len(some):
        tails, asked, index, size, total = tails.chosen(some), asked[some], index[some], size[some], total[some]
        low, high = np.zeros(len(some)), np.minimum(result[at[some]], MOST + 1)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            shrunk = np.exp(-STRETCH * middle)
            is_alarm = _rarer(tails, index, asked, size * shrunk, total * shrunk) > STEP * middle
            low, high = np.where(is_alarm, middle, low), np.where(is_alarm, high, middle)
        result[at[some]] = high
    return result


def _rarer(tails: Tails, index: Floats, asked: Floats, size: Floats, total: Floats) -> Floats:
    """Logarithm of how much rarer than asked for noise has such a score, or such a sum: the rarer of both."""
    probability = tails.exceeded(size)
    rate = np.where(probability < LARGEST_PROBABILITY, probability, np.inf) * index
    with np.errstate(divide="ignore"):
        by_score = np.log((1 - SHARE_OF_SUMS) * asked) - np.log(rate)
    by_sum = np.log(SHARE_OF_SUMS * asked) - np.log(crossings(total))
    return np.asarray(np.maximum(by_score, by_sum))


def _of_series(times: Ints, surprise: Floats, scores: Floats, caution: Caution, sinks: float) -> tuple[Bools, Caution]:
    """Alarms of one series.

    Args:
        times: ms.
        surprise: of the samples.
        scores: NaN where missing: such a sample neither begins nor ends an alarm.
        caution: before.
        sinks: what the caution loses per ms.
    """
    found: Bools = np.zeros(len(times), dtype=np.bool_)
    seen = np.isfinite(scores)
    if not seen.any():
        return found, caution
    first = times[seen][0]
    size, time, alarm, held = caution.size, caution.time or int(first), caution.alarm, caution.held
    previous = -1
    order = np.cumsum(seen) - 1
    for k in np.flatnonzero(seen & (surprise > LEAST)):
        if order[k] > previous + 1:
            alarm = False
        size, time = max(size - sinks * float(times[k] - time), LEAST), int(times[k])
        previous = int(order[k])
        if not alarm:
            held = size
        if surprise[k] > held:
            if not alarm:
                size = min(size + 1, MOST)
            found[k] = alarm = True
        else:
            alarm = False
    last = int(times[seen][-1])
    if order[-1] > previous:
        alarm = False
    size = max(size - sinks * float(last - time), LEAST)
    return found, Caution(size, last, alarm, held)
