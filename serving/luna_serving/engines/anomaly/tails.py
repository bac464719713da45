"""How often noise alone exceeds a score: Student's t averaged over its degrees of freedom, or peaks over a threshold.

A false alarm a month at a sample a minute asks for a quantile that ten thousand samples of history do not reach. The
steps, each with its reason:

1. Student's t with each of a grid of degrees of freedom is fitted to all scores by maximum likelihood, and the fits are
   averaged with their posterior probabilities: three tenths of the prior is on the normal distribution, the rest is
   uniform in 1/nu. The average is the predictive distribution, so the uncertainty of a short history makes alarms
   rarer, not more frequent.
2. Peaks over a threshold check that tail. In the scale `-log p(score)` excesses have the standard exponential
   distribution where step 1 is right; the generalised Pareto distribution (Coles 2001, "An Introduction to Statistical
   Modeling of Extreme Values", chapter 4) replaces the tail where a likelihood ratio test says it is not. On this
   scale a correct tail needs no extrapolation of a shape, whose standard error would multiply rates by factors of ten.
3. Scores that come in clusters count once per cluster: the extremal index is Ferro and Segers' intervals estimator
   (2003, J. R. Statist. Soc. B 65, 545-556).

The largest few episodes of a history do not count, since they may be what an alarm is for: `calm`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln, ndtr, stdtr

from luna_serving.engines.anomaly.extremes import EXCEEDANCES, fit_excesses, intervals_estimator
from luna_serving.engines.anomaly.panel import Floats, Ints

DEGREES: Final = np.array([2, 2.5, 3, 3.5, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 60, 100, 200], dtype=np.float64)
GRID: Final = len(DEGREES) + 1
"""The normal distribution is the last; unknown variance makes it a t with as many degrees of freedom as samples."""
NORMAL_SCALE: Final = 1.4826
# Most noise is nearly normal; half of the prior would make it exactly so for thirty degrees of freedom, too.
NORMAL_PRIOR: Final = 0.3
FAR: Final = 5.0
# Samples between two episodes.
APART: Final = 5
# -log of the smallest normal number.
RAREST: Final = 700.0
# Of so many samples one episode is left out, and at least so many.
SAMPLES_PER_EPISODE: Final = 2000
FEWEST_EPISODES: Final = 2
# A cell of the histogram is a fortieth of asinh(2 x): 0.0125 near zero, 2.5 % of large values.
CELLS: Final = 640
PER_ASINH: Final = 40.0
EM_STEPS: Final = 20
LANES: Final = 64


@dataclass(frozen=True, slots=True)
class Tails:
    """Distributions of the absolute scores of many series."""

    samples: Floats
    """Shape (series,): degrees of freedom of the scores' variance."""
    weights: Floats
    """Shape (series, GRID): posterior probability of each number of degrees of freedom."""
    scales: Floats
    """Shape (series, GRID): the t distribution's scale for each."""
    extremal_index: Floats
    """Shape (series,): alarms per exceedance, in (0, 1]."""
    peaks: Floats
    """Shape (series, 4): threshold, rate above it, shape and scale of the peaks, all of `-log p`; NaN where unused."""

    def chosen(self, lanes: Ints) -> "Tails":
        """Those of some of the series."""
        return Tails(*(getattr(self, name)[lanes] for name in self.__slots__))

    def exceeded(self, score: Floats) -> Floats:
        """Probability of a larger absolute score; shape (series, ...) as `score`."""
        extra = (1,) * (score.ndim - 1)
        total = np.zeros(score.shape)
        for g in range(GRID):
            weight = self.weights[:, g]
            if not (weight > 1e-6).any():
                continue
            freedom = self.samples if g == GRID - 1 else np.full(len(weight), DEGREES[g])
            lane = (len(weight), *extra)
            total += weight.reshape(lane) * 2 * stdtr(freedom.reshape(lane), -score / self.scales[:, g].reshape(lane))
        if np.isfinite(self.peaks[:, 0]).any():
            total = self._corrected(total)
        return np.minimum(total, 1.0)

    def _corrected(self, probability: Floats) -> Floats:
        lane = (len(self.peaks), *(1,) * (probability.ndim - 1))
        threshold, rate, shape, scale = (self.peaks[:, i].reshape(lane) for i in range(4))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            excess = -np.log(probability) - threshold
            inside = np.maximum(1 + shape * excess / scale, 0.0)
            tail = np.where(np.abs(shape) < 1e-9, np.exp(-excess / scale), inside ** (-1 / shape))
            above = excess > 0
        # Below the threshold at least as many: else a score could be rarer than a larger one.
        return np.where(above, rate * tail, np.where(np.isnan(threshold), probability, np.maximum(probability, rate)))

    def score_exceeded_with(self, probability: Floats) -> Floats:
        """The absolute score that is exceeded with a probability, by bisection; shape (series, ...) for both."""
        low, high = np.zeros(probability.shape), np.full(probability.shape, 1e6)
        for _ in range(80):
            middle = np.where(high > 4, np.sqrt(np.maximum(low, 1e-3) * high), (low + high) / 2)
            above = self.exceeded(middle) > probability
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return high


def calm(score: Floats) -> tuple[Floats, float]:
    """Absolute scores of a series up to a limit, and the limit, beyond which a few episodes were.

    An episode is a group of samples beyond five robust standard deviations, five samples apart from the next. One per
    2,000 samples, and at least two, may be anomalies that alarms are for, and are left out. More are the series' own
    habit, and all are kept. What is fitted to the rest knows that it ends at the limit, so that leaving out the largest
    does not make a tail shorter.
    """
    size = np.abs(score[np.isfinite(score)])
    robust = NORMAL_SCALE * float(np.median(size)) if len(size) else 0.0
    if robust == 0:
        return size, np.inf
    limit = FAR * robust
    far = np.flatnonzero(size > limit)
    starts = np.flatnonzero(np.diff(far, prepend=-APART - 1) > APART)
    if len(starts) > max(FEWEST_EPISODES, len(size) // SAMPLES_PER_EPISODE):
        return size, np.inf
    size = np.delete(size, far)
    return size, limit


def fit(scores: list[Floats], fitted: Floats) -> Tails:
    """Fits the tails of series.

    Args:
        scores: of each series, in time order; NaN where missing.
        fitted: shape (series,): coefficients that were fitted to the same samples.
    """
    calmed = [calm(score) for score in scores]
    count = np.array([max(len(size), 1) for size, _ in calmed], dtype=np.float64)
    freedom = np.maximum(count - fitted, 2.0)
    parts = [_mixtures(calmed[i : i + LANES]) for i in range(0, len(scores), LANES)]
    weights = np.concatenate([part[0] for part in parts]) if parts else np.zeros((0, GRID))
    # The residuals of a fit are smaller than errors of prediction: k coefficients cost k/n of the variance twice.
    widened = np.sqrt((count + fitted) / freedom)
    scales = (np.concatenate([part[1] for part in parts]) if parts else np.zeros((0, GRID))) * widened[:, None]
    index = np.ones(len(scores))
    peaks = np.full((len(scores), 4), np.nan)
    plain = Tails(freedom, weights, scales, index, peaks)
    for i, (size, limit) in enumerate(calmed):
        if len(size) < 2 * EXCEEDANCES:
            continue
        level = np.quantile(size, 1 - EXCEEDANCES / len(size))
        at = np.flatnonzero(size > level)
        if len(at) < EXCEEDANCES // 2:
            # Ties: the values are few, and have no smooth tail.
            continue
        index[i] = intervals_estimator(at)
        lane = Tails(freedom[i : i + 1], weights[i : i + 1], scales[i : i + 1], index[i : i + 1], peaks[i : i + 1])
        # Fitted residuals are judged by the scale that they were fitted with.
        scores_of_peaks = np.append(size[at], limit)[None] * widened[i]
        with np.errstate(divide="ignore"):
            rarity = -np.log(lane.exceeded(scores_of_peaks)[0])
        peaks[i] = fit_excesses(np.minimum(rarity[:-1], RAREST), rarity[-1], at, len(size), clustered=index[i] < 1)
    return plain


def _mixtures(calmed: list[tuple[Floats, float]]) -> tuple[Floats, Floats]:
    """Posterior weights and scales over the grid, shape (lanes, GRID) each."""
    number, square = _histograms(calmed)
    total = np.maximum(number.sum(axis=1), 1.0)
    variance = np.maximum((number * square).sum(axis=1) / total, 1e-300)
    scale2 = np.repeat(variance[:, None] * 0.5, len(DEGREES), axis=1)
    nu = DEGREES[None, :, None]
    for _ in range(EM_STEPS):
        weight = (nu + 1) / (nu + square[:, None] / scale2[..., None])
        scale2 = np.maximum((number[:, None] * square[:, None] * weight).sum(axis=2) / total[:, None], 1e-300)
    constant = gammaln((DEGREES + 1) / 2) - gammaln(DEGREES / 2) - 0.5 * np.log(DEGREES * np.pi)
    spread = (number[:, None] * np.log1p(square[:, None] / (nu * scale2[..., None]))).sum(axis=2)
    likelihood = total[:, None] * (constant - 0.5 * np.log(scale2)) - 0.5 * (DEGREES + 1) * spread
    normal = -0.5 * total * (np.log(2 * np.pi * variance) + 1)
    # The samples are those below the limit.
    limit = np.array([limit for _, limit in calmed])[:, None]
    likelihood -= total[:, None] * np.log1p(-2 * stdtr(DEGREES, -limit / np.sqrt(scale2)))
    normal -= total * np.log1p(-2 * ndtr(-limit[:, 0] / np.sqrt(variance)))
    inverse = 1 / DEGREES
    width = np.abs(np.gradient(inverse))
    prior = np.log(np.append((1 - NORMAL_PRIOR) * width / width.sum(), NORMAL_PRIOR))
    joint = np.concatenate([likelihood, normal[:, None]], axis=1) + prior
    weights = np.exp(joint - joint.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, np.sqrt(np.concatenate([scale2, variance[:, None]], axis=1))


def _histograms(calmed: list[tuple[Floats, float]]) -> tuple[Floats, Floats]:
    """Numbers and mean squares of the cells, shape (lanes, CELLS)."""
    number, square = np.zeros((len(calmed), CELLS)), np.zeros((len(calmed), CELLS))
    for i, (size, _) in enumerate(calmed):
        cell: Ints = np.minimum((np.arcsinh(2 * size) * PER_ASINH).astype(np.int64), CELLS - 1)
        number[i] = np.bincount(cell, minlength=CELLS)
        square[i] = np.bincount(cell, size * size, minlength=CELLS)
    return number, square / np.maximum(number, 1.0)
