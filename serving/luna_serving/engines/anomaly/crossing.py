"""The probability that at least one of a series' next samples exceeds a threshold.

The samples are those of the series' interval within the horizon, each the path of level and slope plus noise of its
own. Given the path they are independent, so the probability that none exceeds is a product; it is averaged over a
fixed set of paths, drawn by principal components whose first four are spread evenly (a Kronecker sequence). Of many
samples the path is followed at 24 nodes, each of which stands for the samples around it. Between nodes a path that
walks goes further than at them: the threshold is moved by 0.5826 standard deviations of what the coarser steps miss
(Broadie, Glasserman and Kou 1997, "A continuity correction for discrete barrier options", Mathematical Finance 7,
325-349).
"""

from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from luna_serving.engines.anomaly.model import Models
from luna_serving.engines.anomaly.panel import Floats, Ints
from luna_serving.engines.anomaly.season import pattern
from luna_serving.engines.anomaly.tails import DEGREES, GRID

NODES: Final = 24
PATHS: Final = 256
EVEN: Final = 4
"""Components whose values are spread evenly."""
CONTINUITY: Final = 0.5826
# Series and steps at a time.
LANES: Final = 256


def normals(nodes: int) -> Floats:
    """Standard normal numbers, shape (PATHS, nodes), the same at every call."""
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (EVEN + 1))
    even = ndtri((0.5 + np.arange(1, PATHS + 1)[:, None] * ratio ** -np.arange(1.0, EVEN + 1)) % 1)
    other = np.random.default_rng(1).standard_normal((PATHS // 2, NODES - EVEN))
    found = np.concatenate([even, np.concatenate([other, -other])], axis=1)[:, :nodes]
    return np.asarray((found - found.mean(axis=0)) / found.std(axis=0))


def probability(
    models: Models, lanes: Ints, times: Ints, gaps: Floats, state: Floats, threshold: Floats, ahead_ms: Floats
) -> Floats:
    """That a sample after each time exceeds the threshold; shape (cases,) as all arrays but the state.

    Args:
        models: of the series.
        lanes: the series of each case.
        times: ms.
        gaps: sampling intervals between the state's last sample and the time.
        state: shape (5, cases): level, slope, P11, P12, P22 after that sample.
        threshold: in units of the values.
        ahead_ms: horizon. Samples are expected at every interval after the time, one at least.
    """
    samples = np.maximum(np.floor(ahead_ms / models.interval[lanes] + 1e-9), 1.0)
    result = np.empty(len(times))
    for count in np.unique(samples):
        cases = np.flatnonzero(samples == count)
        for first in range(0, len(cases), LANES):
            some = cases[first : first + LANES]
            result[some] = _alike(
                models, lanes[some], times[some], gaps[some], state[:, some], threshold[some], int(count)
            )
    return result


def _alike(
    models: Models, lanes: Ints, times: Ints, gaps: Floats, state: Floats, threshold: Floats, samples: int
) -> Floats:
    """Cases that expect the same number of samples."""
    nodes = min(samples, NODES)
    edges = np.linspace(0, samples, nodes + 1)
    # The mean place of the samples (edge, next edge], and their number.
    place, number = (edges[:-1] + edges[1:] + 1) / 2, np.diff(edges)
    q_level, q_slope = models.q_level[lanes], models.q_slope[lanes]
    level, slope, p11, p12, p22 = state
    start = level + slope * gaps
    p11 = p11 + gaps * (2 * p12 + gaps * (p22 + gaps * q_slope / 3) + q_level)
    p12 = p12 + gaps * (p22 + gaps * q_slope / 2)
    p22 = p22 + gaps * q_slope
    mean = start[:, None] + slope[:, None] * place
    one, other = np.minimum.outer(place, place), np.maximum.outer(place, place)
    extra = (slice(None), None, None)
    covariance = (
        p11[extra]
        + p12[extra] * (one + other)
        + (p22[extra] * one * other)
        + q_level[extra] * one
        + q_slope[extra] * one * one * (3 * other - one) / 6
    )
    eigenvalues, vectors = np.linalg.eigh(covariance)
    loading = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0))[:, None])[..., ::-1]
    paths = normals(nodes) @ loading.swapaxes(1, 2)
    stamps = times[:, None] + place * models.interval[lanes, None]
    season = pattern(stamps.T.astype(np.int64), models.daily[lanes], models.weekly[lanes]).T
    limit = (threshold[:, None] - models.centre[lanes, None] - season) / models.scale[lanes, None] - mean
    limit -= CONTINUITY * (np.sqrt(number) - 1) * np.sqrt(q_level)[:, None]
    with np.errstate(divide="ignore"):
        below = np.log(_below(models, lanes, limit[:, None] - paths))
    return np.asarray(np.clip(1 - np.exp(below @ number).mean(axis=1), 0.0, 1.0))


def _below(models: Models, lanes: Ints, x: Floats) -> Floats:
    """The noise's distribution function, by its most probable number of degrees of freedom."""
    result = np.empty(x.shape)
    likely = models.weights[lanes].argmax(axis=1)
    for g in np.unique(likely):
        cases = np.flatnonzero(likely == g)
        scaled = x[cases] / models.scales[lanes[cases], g][:, None, None]
        result[cases] = ndtr(scaled) if g == GRID - 1 else stdtr(DEGREES[g], scaled)
    return result
