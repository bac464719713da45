"""More digits of a saved state than float64 holds, as sums of float64 numbers, and whether they are needed."""

from typing import Final

import numpy as np

from luna_serving.engines.statespace.multiprecision.arithmetic import Floats, Matrix, exact, nearest
from luna_serving.engines.statespace.results.saved import Digits, Saved

# 4 x 53 bits, the first among them: 63 digits, of which a covariance may lose half.
PARTS: Final = 3
# A bound of the correlations' smallest eigenvalue. A level with two yearly waves stood at 2e-4 after 100 days and still
# lost 9 digits of float64's 16 from there on, at 3e-2 after 200 and lost 6.
WELL_CONDITIONED: Final = 5e-3
# Relative to the largest variance: below, a state is known exactly, and its variance is what 512 bits leave of zero.
KNOWN_EXACTLY: Final = 1e-60


def expanded(mean: Matrix, cov: Matrix, diffuse: Matrix) -> tuple[Digits, ...]:
    """What follows the first 53 bits of each number."""
    left = [mean, cov, diffuse]
    parts = []
    for number in range(PARTS + 1):
        values = [nearest(each) for each in left]
        left = [(each - exact(value)).mid() for each, value in zip(left, values, strict=True)]
        if number:
            parts.append(Digits(values[0][:, 0], values[1], values[2]))
    return tuple(parts)


def summed(saved: Saved) -> tuple[Matrix, Matrix, Matrix]:
    """Mean [n, 1], covariance and diffuse factor of a saved state with all their digits."""
    mean, cov, diffuse = exact(saved.mean), exact(saved.cov), exact(saved.diffuse)
    for part in saved.digits:
        mean, cov, diffuse = mean + exact(part.mean), cov + exact(part.cov), diffuse + exact(part.diffuse)
    return mean, cov, diffuse


def is_sound(cov: Matrix, factor: Matrix | None) -> bool:
    """Whether a filter in float64 could go on from here."""
    return factor is None and well_conditioned(nearest(cov))


def well_conditioned(cov: Floats) -> bool:
    """Whether no direction of a covariance [n, n] is far more precise than its states; exactly known ones aside."""
    variances = np.diagonal(cov).clip(min=0.0)
    scale, there = np.sqrt(variances), variances > KNOWN_EXACTLY * variances.max(initial=0.0)
    if not (there.any() and np.isfinite(cov).all()):
        return True
    scale, cov = scale[there], cov[np.ix_(there, there)]
    return bool(np.linalg.eigvalsh(cov / np.outer(scale, scale))[0] > WELL_CONDITIONED)
