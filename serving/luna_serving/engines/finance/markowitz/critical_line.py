"""The critical line algorithm: all portfolios that minimise variance for their expected return, exactly.

Markowitz (1956); Bailey and Lopez de Prado (2013). min 1/2 w'Cw - t m'w over 1'w = 1, l <= w <= u is solved for every
t >= 0. Between two corners the weights are w(t) = a + t d: the inverse of C over the free assets gives a and d, and is
updated by one row for each asset that meets or leaves a bound. The path begins at the portfolio of least variance and
goes up, so that equal means need no rule: the last portfolio is the one of least variance among those of the largest
return.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.finance.markowitz.active_set import walk_on_box
from luna_serving.engines.finance.markowitz.box import FREE, LOWER, UPPER, Sides, least_on_box
from luna_serving.engines.finance.markowitz.constraints import Floats
from luna_serving.engines.finance.markowitz.inverse import FreeInverse
from luna_serving.engines.finance.markowitz.stopping import Stop, check, never

# A direction below this share of its parts is rounding.
NEGLIGIBLE: Final = 1e-11
# Corners at one place on the path, of which none moves on: the path is begun again a little farther.
STEP: Final = 1e-9


@dataclass(frozen=True, slots=True)
class CriticalLine:
    """Portfolios a + t d for t between two corners."""

    at_zero: Floats
    """[n], a."""
    slope: Floats
    """[n], d; zero for assets on a bound."""
    begin: float
    end: float
    """Infinite on the last line, whose slope is zero."""
    sides: Sides

    def weights(self, t: float, lower: Floats, upper: Floats) -> Floats:
        """[n], on the line."""
        w: Floats = np.clip(self.at_zero + t * self.slope, lower, upper) if np.isfinite(t) else self.at_zero
        return w


def critical_lines(
    cov: Floats, mean: Floats, lower: Floats, upper: Floats, stop: Stop = never, exact: Floats | None = None
) -> Iterator[CriticalLine]:
    """The path from the least variance to the largest expected return.

    Args:
        cov: [n, n], C, positive definite.
        mean: [n], m.
        lower: [n], l.
        upper: [n], u; sum l < 1 < sum u.
        stop: asked at each corner.
        exact: [n, n], C without a ridge that makes it definite.

    Raises:
        PathLost: rounding prevents it; a general solver has to do.
        Stopped: it was told to.
    """
    path = _Path(cov, mean, lower, upper, exact)
    path.enter(0.0)
    for line in path.lines():
        check(stop)
        yield line


class PathLost(Exception):
    """The path cannot be followed in double precision."""


class _Path:
    def __init__(self, cov: Floats, mean: Floats, lower: Floats, upper: Floats, exact: Floats | None) -> None:
        self.cov, self.lower, self.upper = cov, lower, upper
        # Adding a constant to all means changes nothing but rounding.
        self.mean = mean - mean.mean()
        self.spread = max(float(np.abs(self.mean).max()), np.finfo(float).tiny)
        self.movable = upper > lower
        self.sides: Sides = np.zeros(len(cov), np.int8)
        self.inverse = FreeInverse(cov, exact)

    def enter(self, t: float) -> None:
        """Begin, or begin again, at a place on the path."""
        problem = (self.cov, t * self.mean, self.lower, self.upper)
        found = least_on_box(*problem) or walk_on_box(*problem)
        if found is None:
            raise PathLost
        self.sides = found.sides.copy()
        self.inverse.restart(np.flatnonzero(self.sides == FREE))

    def lines(self) -> Iterator[CriticalLine]:
        t, standing = 0.0, 0
        n = len(self.cov)
        for _ in range(60 * n + 1000):
            a, d, level, rise = self._line()
            t_next, asset, side = self._event(t, a, d, level, rise)
            if not np.isfinite(t_next):
                yield CriticalLine(self._exact(a + t * d), np.zeros(n), t, np.inf, self.sides.copy())
                return
            if t_next > t:
                yield CriticalLine(self._exact(a), d, t, t_next, self.sides.copy())
            standing = 0 if t_next > t * (1 + 1e-14) else standing + 1
            t = t_next
            if standing > 2 * n + 20:
                t, standing = t * (1 + STEP), 0
                self.enter(t)
                continue
            self._turn(asset, side)
        raise PathLost

    def _line(self) -> tuple[Floats, Floats, float, float]:
        """a, d, and the multiplier of the budget, g(t) = level + t rise."""
        free = self.inverse.members
        n = len(self.cov)
        held = np.where(self.sides == UPPER, self.upper, self.lower)
        held[free] = 0.0
        pull = (self.cov @ held)[free] if held.any() else np.zeros(len(free))
        solved = self.inverse.solve(np.column_stack([np.ones(len(free)), self.mean[free], pull]))
        ones, means, pulled = solved.T
        total = float(ones.sum())
        level = (1.0 - float(held.sum()) + float(pulled.sum())) / total
        rise = -float(means.sum()) / total
        a, d = held, np.zeros(n)
        a[free] = level * ones - pulled
        slope = means + rise * ones
        slope[np.abs(slope) <= NEGLIGIBLE * (np.abs(means) + abs(rise) * np.abs(ones))] = 0.0
        if len(free) == 1:
            slope[:] = 0.0
        d[free] = slope
        return a, d, level, rise

    def _event(self, t: float, a: Floats, d: Floats, level: float, rise: float) -> tuple[float, int, int]:
        """The next corner: its place, the asset that changes sides, and its new side."""
        at = np.full(len(a), np.inf)
        down, up = d < 0, d > 0
        at[down] = (self.lower[down] - a[down]) / d[down]
        at[up] = (self.upper[up] - a[up]) / d[up]
        products = self.cov @ np.column_stack([a, d])
        base = products[:, 0] - level
        change = products[:, 1] - self.mean - rise
        change[np.abs(change) <= NEGLIGIBLE * self.spread] = 0.0
        meets = self.movable & (((self.sides == LOWER) & (change < 0)) | ((self.sides == UPPER) & (change > 0)))
        at[meets] = -base[meets] / change[meets]
        asset = int(at.argmin())
        place = float(at[asset])
        side = FREE if meets[asset] else LOWER if d[asset] < 0 else UPPER
        return max(place, t), asset, side

    def _turn(self, asset: int, side: int) -> None:
        self.sides[asset] = side
        if side == FREE:
            self.inverse.add(asset)
        else:
            self.inverse.remove(asset)

    def _exact(self, weights: Floats) -> Floats:
        w: Floats = np.where(self.sides == UPPER, self.upper, np.where(self.sides == LOWER, self.lower, weights))
        return w
