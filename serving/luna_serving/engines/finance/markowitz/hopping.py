"""The efficient frontier under general constraints.

With groups it consists of lines, as with bounds alone: the active constraints at one place of the path hold up to the
next corner, beyond which they are found again. Limits of turnover and tracking error bend it, and points are solved for
one by one.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lu_factor, lu_solve

from luna_serving.engines.finance.markowitz.assets import Assets
from luna_serving.engines.finance.markowitz.cone import Interior, Program, solve_cone
from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats
from luna_serving.engines.finance.markowitz.general import Scaled, least_variance, most_expected, weights_of
from luna_serving.engines.finance.markowitz.polish import PROXIMAL, Polished, polish
from luna_serving.engines.finance.markowitz.refusals import Unsolved
from luna_serving.engines.finance.markowitz.rows import Rows, rows_of
from luna_serving.engines.finance.markowitz.stopping import Stop, check, never

# How far beyond a corner the next line is sought, and how near lines must meet; relative to the place on the path.
BEYOND: Final = 1e-6
MEETS: Final = 1e-7
# A step along the path, in scaled units, where it is at zero.
LEAST: Final = 1e-9
REFINEMENTS: Final = 8
GOOD: Final = 1e-11
# A direction below this is rounding.
NEGLIGIBLE: Final = 1e-11


def corners_of(assets: Assets, limits: Constraints, stop: Stop = never) -> tuple[list[Floats], float]:
    """The corners under bounds and groups, from the least variance up, and the largest residual.

    Raises:
        Unsolved: a line could not be found.
        Stopped: it was told to.
    """
    scaled = Scaled.of(assets)
    rows = rows_of(limits)
    place, probe, corners, worst = 0.0, 0.0, list[Floats](), 0.0
    start: Interior | None = None
    for _ in range(20 * len(assets.mean) + 200):
        check(stop)
        found = _at(Program(scaled.root, 1.0, probe * scaled.mean, rows), start)
        worst = max(worst, found.residual)
        line = _Line.through(scaled, rows, found.active)
        begin, end, row = line.range(rows, found.active)
        if begin > place * (1 + MEETS) + LEAST * 10 and probe > place + LEAST:
            # A line between was passed over.
            probe, start = (place + probe) / 2, None
            continue
        corner = weights_of(limits, rows, replace(found, x=line.at(place)))
        if not corners or np.abs(corner - corners[-1]).max() > 1e-12:
            corners.append(corner)
        if not np.isfinite(end):
            return corners, worst
        place = max(end, place)
        probe = place * (1 + BEYOND) + LEAST
        turned = found.active.copy()
        turned[row] = not turned[row]
        start = Interior(line.at(probe), turned, ())
    raise Unsolved("too many corners")


def sampled(assets: Assets, limits: Constraints, points: int, stop: Stop = never) -> tuple[list[Floats], float]:
    """Points evenly spaced in expected return, each solved for, and the largest residual.

    Raises:
        Unsolved: a portfolio could not be found.
        Stopped: it was told to.
    """
    first = least_variance(assets, limits)
    best = most_expected(assets, limits)
    low = assets.expected(first.weights)
    found = [first]
    # Just below the largest, where rounding leaves room for a solution.
    for target in np.linspace(low, best - 1e-9 * (best - low), points)[1:]:
        check(stop)
        found.append(least_variance(assets, limits, target=float(target)) if best > low else first)
    return [each.weights for each in found], max(each.residual for each in found)


def _at(program: Program, start: Interior | None) -> Polished:
    if start is not None:
        try:
            found = polish(program, start)
        except Unsolved:
            found = None
        if found is not None and found.residual < GOOD:
            return found
    return polish(program, solve_cone(program))


@dataclass(frozen=True, slots=True)
class _Line:
    """x(t) = a + t d, with the multipliers of the active rows."""

    a: Floats
    d: Floats
    multiplier: Floats
    """[k], of active inequalities, at zero."""
    rise: Floats

    @classmethod
    def through(cls, scaled: Scaled, rows: Rows, active: NDArray[np.bool_]) -> "_Line":
        held = np.flatnonzero(active)
        linear = np.vstack([rows.equal, rows.most[held]])
        n, m = len(scaled.mean), len(linear)
        matrix = np.zeros((n + m, n + m))
        matrix[:n, :n] = scaled.root.T @ scaled.root
        matrix[:n, n:], matrix[n:, :n] = linear.T, linear
        right = np.zeros((n + m, 2))
        right[n:, 0] = np.concatenate([rows.equal_to, rows.most_of[held]])
        right[:n, 1] = scaled.mean
        factor = lu_factor(matrix + np.diag([PROXIMAL] * n + [-PROXIMAL] * m), check_finite=False)
        solved = np.zeros_like(right)
        for _ in range(REFINEMENTS):
            solved += lu_solve(factor, right - matrix @ solved, check_finite=False)
        d = solved[:n, 1]
        d[np.abs(d) <= NEGLIGIBLE * max(1.0, float(np.abs(solved[:n, 1]).max()))] = 0.0
        p = n + len(rows.equal)
        return cls(solved[:n, 0], d, solved[p:, 0], solved[p:, 1])

    def at(self, t: float) -> Floats:
        x: Floats = self.a + t * self.d
        return x

    def range(self, rows: Rows, active: NDArray[np.bool_]) -> tuple[float, float, int]:
        """Between which places the line is the path, and the row that changes at the end."""
        room = rows.most_of - rows.most @ self.a
        speed = rows.most @ self.d
        held = np.flatnonzero(active)
        room[held], speed[held] = self.multiplier, -self.rise
        speed[np.abs(speed) <= NEGLIGIBLE * max(1.0, float(np.abs(speed).max(initial=0.0)))] = 0.0
        ends = np.full(len(room), np.inf)
        ends[speed > 0] = room[speed > 0] / speed[speed > 0]
        begins = room[speed < 0] / speed[speed < 0]
        row = int(ends.argmin()) if len(ends) else 0
        return max(0.0, float(begins.max(initial=0.0))), float(ends.min(initial=np.inf)), row
