"""Evidence for a shift of the level, gathered over several samples: a two-sided CUSUM of clipped normal scores.

Heavy-tailed noise has single samples as large as a shift, but hardly ever several of them on one side in a row. Each
score is turned into the normal score that is as rare (Student's t by Wallace 1959, "Bounds on normal approximations to
Student's and the chi-square distributions", Ann. Math. Statist. 30, 1121-1130), clipped at `CLIP`, and summed as Page
does (1954, "Continuous inspection schemes", Biometrika 41, 100-115). For a shift of a known size the sum's detection
delay is the least possible at its rate of false alarms (Lorden 1971, "Procedures for reacting to a change in
distribution", Ann. Math. Statist. 42, 1897-1908); clipping bounds what one outlier can do (Huber 1965, "A robust
version of the probability ratio test", Ann. Math. Statist. 36, 1753-1758).

Normal scores of noise have the same distribution for every series, so one table serves all: `crossings`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.anomaly.panel import Floats, Ints
from luna_serving.engines.anomaly.tails import DEGREES, Tails

REFERENCE: Final = 1.0
"""Taken off each normal score (Page's k): half of a shift of two deviations, the smallest that is worth an alarm."""
CLIP: Final = 3.0
MOST: Final = 10.0
"""The sum goes no further, so that it is below any threshold a few samples after a shift has ended."""
LEVELS: Final = np.arange(0.5, 10.5, 0.5)
# Logarithm of the probability per sample that one side's sum of independent normal scores rises beyond a level:
# the stationary distribution of the chain (Brook and Evans 1972, Biometrika 59, 539-549), on a grid of 1/200.
LOG_CROSSINGS: Final = np.array([
    -2.750, -3.580, -4.517, -5.768, -6.722, -7.736, -8.785, -9.870, -10.902, -11.950,
    -13.004, -14.060, -15.108, -16.160, -17.213, -18.265, -19.317, -20.370, -21.424, -22.476,
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sums:
    """The two sums of many series after their last samples; shape (series,) each, 0 to `MOST`."""

    rise: Floats
    fall: Floats

    def chosen(self, lanes: Ints) -> "Sums":
        """Copies of those of some of the series."""
        return Sums(self.rise[lanes], self.fall[lanes])


def normal_scores(tails: Tails, scores: Floats) -> Floats:
    """Scores as normal ones that are as rare, clipped, with their signs; 0 where NaN. Shape (rows, series)."""
    inverse = tails.weights[:, :-1] @ (1 / DEGREES) + tails.weights[:, -1] / tails.samples
    degrees = 1 / inverse
    scale = (tails.weights * tails.scales).sum(axis=1)
    size = scores / scale
    size *= size
    size *= inverse
    np.log1p(size, out=size)
    size *= degrees
    np.sqrt(size, out=size)
    size *= (8 * degrees + 1) / (8 * degrees + 3)
    np.fmin(size, CLIP, out=size)
    np.copysign(size, scores, out=size)
    size[np.isnan(scores)] = 0.0
    return np.asarray(size)


def follow(tails: Tails, scores: Floats, before: Sums) -> tuple[Floats, Sums]:
    """The larger sum after each score, positive where it is the one of rises.

    Args:
        tails: of the scores.
        scores: shape (rows, series); NaN, a missing sample, says nothing: the sums stay.
        before: after the rows before; not changed.

    Returns:
        Shape (rows, series), and the sums after the last row.
    """
    normal = normal_scores(tails, scores)
    up, down = normal - REFERENCE, -normal - REFERENCE
    silent = np.isnan(scores)
    if silent.any():
        up[silent] = down[silent] = 0.0
    rises, falls = _sums(up, before.rise), _sums(down, before.fall)
    after = Sums(rises[-1].copy(), falls[-1].copy()) if len(scores) else before
    return np.where(rises >= falls, rises, -falls), after


def _sums(steps: Floats, before: Floats) -> Floats:
    """`S = clip(S + step, 0, MOST)` row by row, changing `steps`.

    Without the upper bound S is a walk less its least value so far; only series that reach the bound need the loop.
    """
    if len(steps) == 0:
        return steps
    over = np.cumsum(steps, axis=0)
    over += before
    least = np.minimum(np.minimum.accumulate(over, axis=0), 0.0)
    over -= least
    lanes = np.flatnonzero(over.max(axis=0) > MOST)
    if len(lanes):
        value, of = before[lanes], steps[:, lanes]
        for row in range(len(of)):
            value = np.clip(value + of[row], 0.0, MOST)
            over[row, lanes] = value
    return over


def crossings(level: Floats) -> Floats:
    """How often per sample noise makes one of the two sums rise beyond a level: 0 to `MOST`."""
    return np.asarray(2 * np.exp(np.interp(level, LEVELS, LOG_CROSSINGS)))
