"""Peaks over a threshold: clusters of exceedances, and the generalised Pareto distribution of their excesses."""

from typing import Final

import numpy as np

from luna_serving.engines.anomaly.panel import Floats, Ints

EXCEEDANCES: Final = 100
# An index as close to one is one: the estimator's error with so many exceedances.
INDEPENDENT: Final = 0.8
# Samples between two clusters.
APART: Final = 5
# Chi-square with two degrees of freedom, 0.5 %: a tail that is right is kept.
DOUBT: Final = 10.6
# Shapes and log scales, relative to the mean excess, of a first look and of the fit.
COARSE: Final = (np.linspace(-0.5, 0.5, 11), np.linspace(-1.4, 1.4, 15))
FINE: Final = (np.linspace(-0.5, 0.5, 41), np.linspace(-1.4, 1.4, 71))
# Standard deviations of the priors of shape and log scale: data decide where there are enough, and where peaks end at a
# limit, a scale larger than the limit is not taken for likely.
SHAPE_DEVIATION: Final = 0.2
LOG_SCALE_DEVIATION: Final = 0.5
LEAST_MEAN: Final = 1e-9
Peaks = tuple[float, float, float, float]
"""Threshold, probability of a sample beyond it, shape and scale of the excesses; NaN where the exponential fits."""
UNUSED: Final[Peaks] = (np.nan, np.nan, np.nan, np.nan)


def intervals_estimator(at: Ints) -> float:
    """The extremal index of exceedances at these rows, by the times between them (Ferro and Segers 2003, eq. 5)."""
    gaps = np.diff(at).astype(np.float64)
    if len(gaps) < EXCEEDANCES // 4:
        return 1.0
    if gaps.max() <= 2:
        index = 2 * gaps.sum() ** 2 / (len(gaps) * (gaps * gaps).sum())
    else:
        index = 2 * (gaps - 1).sum() ** 2 / (len(gaps) * ((gaps - 1) * (gaps - 2)).sum())
    return 1.0 if index > INDEPENDENT else max(float(index), 1 / EXCEEDANCES)


def largest_episodes(size: Floats, most: int) -> Floats:
    """The largest values of a series' episodes, descending; zeros where there are fewer. Shape (most,).

    An episode is a group of the series' largest values, `APART` samples from the next.
    """
    result = np.zeros(most)
    seen = np.flatnonzero(np.isfinite(size) & (size > 0))
    if len(seen) == 0:
        return result
    kept = np.sort(seen[np.argsort(size[seen])[-EXCEEDANCES:]])
    peaks = np.maximum.reduceat(size[kept], np.flatnonzero(np.diff(kept, prepend=kept[0] - APART - 1) > APART))
    peaks = np.sort(peaks)[::-1][:most]
    result[: len(peaks)] = peaks
    return result


def fit_excesses(rarity: Floats, limit: float, at: Ints, samples: int, *, clustered: bool) -> Peaks:
    """The tail beyond the least rare exceedance, where the standard exponential distribution does not fit.

    Args:
        rarity: `-log p` of the exceedances, in time order; standard exponential beyond any value if p is right.
        limit: rarer ones were left out.
        at: their rows.
        samples: of the history.
        clustered: whether exceedances come in clusters, of which only the largest counts.
    """
    threshold, rate = float(rarity.min()), len(rarity) / samples
    excess = rarity - threshold
    if clustered:
        excess = np.maximum.reduceat(excess, np.flatnonzero(np.diff(at, prepend=at[0] - APART - 1) > APART))
    mean = float(excess.mean())
    if len(excess) < EXCEEDANCES // 4 or mean < LEAST_MEAN:
        return UNUSED
    reach = max(limit - threshold, float(excess.max()))
    null = -float(excess.sum()) - len(excess) * np.log(-np.expm1(-reach))
    for shapes, scales in (COARSE, FINE):
        likelihood = _likelihood(excess, reach, shapes, mean * np.exp(scales))
        log_scale = np.log(mean) + scales
        penalised = likelihood - 0.5 * (
            (shapes[:, None] / SHAPE_DEVIATION) ** 2 + (log_scale / LOG_SCALE_DEVIATION) ** 2
        )
        best = np.unravel_index(int(np.argmax(penalised)), penalised.shape)
        if 2 * (likelihood[best] - null) < (DOUBT if shapes is FINE[0] else DOUBT / 2):
            return UNUSED
    return threshold, rate, float(shapes[best[0]]), float(mean * np.exp(scales[best[1]]))


def _likelihood(excess: Floats, reach: float, shapes: Floats, scales: Floats) -> Floats:
    """Log likelihood of the generalised Pareto distribution below `reach`, shape (shapes, scales)."""
    relative = np.append(excess, reach)[:, None] / scales
    result = np.empty((len(shapes), len(scales)))
    for i, shape in enumerate(shapes):
        if abs(shape) < 1e-9:
            survival, jacobian = -relative, 0.0
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                inside = np.log(np.maximum(1 + shape * relative, 0.0))
            survival, jacobian = -inside / shape, inside[:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            missing = np.log(-np.expm1(survival[-1]))
            value = (survival[:-1] - jacobian - np.log(scales) - missing).sum(axis=0)
        # Shapes below zero end before a peak.
        result[i] = np.where(np.isfinite(value), value, -np.inf)
    return result
