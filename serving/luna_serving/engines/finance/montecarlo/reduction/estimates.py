"""Values with standard errors and intervals, from moments: control variates and Student's t."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from luna_serving.engines.finance.montecarlo.reduction.moments import Moments

LEVEL: Final = 0.95
# Below this share of a control's variance that is its own, it repeats the others.
OWN: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its error."""

    value: float
    std_error: float
    freedom: float
    """Degrees of freedom of the error."""

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Student's t interval."""
        half = self.std_error * float(stdtrit(self.freedom, 0.5 + level / 2))
        return self.value - half, self.value + half


@dataclass(frozen=True, slots=True)
class Layout:
    """What the d quantities of moments are."""

    values: tuple[str, ...]
    controls: tuple[str, ...]
    expectations: tuple[float, ...]
    """Of the controls."""


def estimates(moments: Moments, layout: Layout) -> dict[str, Estimate]:
    """The estimate of each value.

    The coefficients of the controls are regressed on the samples themselves; the bias is of order 1/n, the error of
    order 1/sqrt(n) (Glasserman 2004, section 4.1). With one group the error is that of independent samples, with
    several that of the groups' means: 16 scrambles give 15 degrees of freedom.
    """
    pooled = moments.pooled()
    k, groups = len(layout.values), len(moments.mean)
    beta = _coefficients(pooled.comoment[0], k)
    gap = moments.mean[:, k:] - np.asarray(layout.expectations)[None]
    adjusted = moments.mean[:, :k] - (gap[:, :, None] * beta[None]).sum(axis=1)
    out = {}
    for i, name in enumerate(layout.values):
        value = float(adjusted[:, i].mean())
        if groups > 1:
            spread = float(((adjusted[:, i] - value) ** 2).sum())
            out[name] = Estimate(value, math.sqrt(spread / (groups - 1) / groups), groups - 1)
            continue
        n, used = pooled.count, int(np.count_nonzero(beta[:, i]))
        c = pooled.comoment[0]
        left = c[i, i] - 2.0 * (beta[:, i] * c[k:, i]).sum() + (beta[:, i, None] * beta[None, :, i] * c[k:, k:]).sum()
        freedom = max(1, n - 1 - used)
        out[name] = Estimate(value, math.sqrt(max(0.0, float(left)) / freedom / n), freedom)
    return out


def _coefficients(c: Float[np.ndarray, "d d"], k: int) -> Float[np.ndarray, "controls values"]:
    """Regression of the first k quantities on the others, by elimination; a control that repeats others gets 0."""
    m = len(c) - k
    beta = np.zeros((m, k))
    a, y = c[k:, k:].copy(), c[k:, :k].copy()
    kept = []
    for j in range(m):
        if a[j, j] <= OWN * c[k + j, k + j] or c[k + j, k + j] <= 0.0:
            continue
        kept.append(j)
        for i in range(j + 1, m):
            share = a[i, j] / a[j, j]
            a[i] -= share * a[j]
            y[i] -= share * y[j]
    for j in reversed(kept):
        beta[j] = y[j]
        for i in kept:
            if i > j:
                beta[j] -= a[j, i] * beta[i]
        beta[j] /= a[j, j]
    return beta
