"""The fixed-interval smoother (Durbin & Koopman 2012, sections 4.4 and 5.3) in multi-precision.

What later observations say of a state is a series in 1/κ, as in `smoother/diffuse.py`: the score r + r1 / κ and the
information N + N1 / κ + N2 / κ². Nothing is divided by but variances of forecasts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.engines.statespace.multiprecision.arithmetic import (
    ONE,
    Floats,
    Matrix,
    diagonal,
    exact,
    nearest,
    outer,
    squared,
    zeros,
)
from luna_serving.engines.statespace.multiprecision.cancellation import KNOWN_EXACTLY
from luna_serving.engines.statespace.multiprecision.filter import Filtered, Row
from luna_serving.engines.statespace.multiprecision.system import ExactSystem, Observed
from luna_serving.engines.statespace.process.deadline import Clock, check

# Relative to a diffuse direction's square: what the arithmetic leaves of one that the observations determine.
TOLD: Final = 1e-60


@dataclass(frozen=True, slots=True, eq=False)
class DiffuseAdjoint:
    """Higher powers of 1/κ."""

    r1: Matrix
    n1: Matrix
    n2: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """The smoothed moments of one row in multi-precision."""

    mean: Matrix  # [n, series]
    cov: Matrix  # [n, n]


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """What the observations after a row say of the state after it."""

    r: Matrix  # [n, series]
    n: Matrix  # [n, n]
    adjoint: DiffuseAdjoint | None


def nothing_later(filtered: Filtered) -> Later:
    """After the last observation."""
    n, series = filtered.mean.nrows(), filtered.mean.ncols()
    return Later(zeros(n, series), zeros(n, n), None)


def later_of(filtered: Filtered, mean: Floats, cov: Floats) -> Later:
    """What the observations after the filter's last row say, from the smoothed moments [n, series] and [n, n] there.

    x̂ = a + P r and V = P - P N P (eq. 4.39, 4.43), on the states that have a variance.
    """
    p = filtered.cov
    least = KNOWN_EXACTLY * float(diagonal(p).max(initial=0.0))
    there = [i for i in range(p.nrows()) if p[i, i] > least]
    inverse = Matrix([[p[i, j] for j in there] for i in there]).inv()
    known = np.ix_(there, there)
    difference = Matrix([[p[i, j] for j in there] for i in there]) - exact(cov[known])
    moved = exact(mean[there]) - Matrix([[filtered.mean[i, b] for b in range(mean.shape[1])] for i in there])
    r, n = inverse * moved, inverse * difference * inverse
    wide = exact(np.eye(p.nrows())[:, there])
    return Later((wide * r).mid(), (wide * n * wide.transpose()).mid(), None)


def run_smoother(
    system: ExactSystem, filtered: Filtered, later: Later, out_of_time: Clock
) -> tuple[dict[str, Floats], list[Smoothed]]:
    """Smooth what the filter has been through: outputs in float64 as `smoother.chunk` has them, and each row exactly.

    Raises:
        OutOfTime: time is out; looked at before each row.
    """
    length, n = len(filtered.rows), system.model.states
    series = filtered.mean.ncols()
    outputs = {
        "smoothed_state": np.empty((length, n, series)),
        "smoothed_state_cov": np.empty((length, n, n)),
        "smoothed_state_diffuse": np.zeros((length, n)),
        "score": np.empty((length, n, series)),
        "information": np.empty((length, n, n)),
        "state_disturbance_var": np.zeros((length, system.model.shocks)),
    }
    rows: list[Smoothed] = []
    for t in reversed(range(length)):
        check(out_of_time)
        row, seen, moved = filtered.rows[t], system.observed(t), system.moved(t)
        outputs["score"][t], outputs["information"][t] = nearest(later.r), nearest(later.n)
        if row.factor is not None and later.adjoint is None:
            later = Later(later.r, later.n, DiffuseAdjoint(zeros(n, series), zeros(n, n), zeros(n, n)))
        if moved is not None:
            outputs["state_disturbance_var"][t] = _shock_variances(system, t // system.per_period, later)
            later = _across(moved.transition, moved.turned, later)
        later = _observe(row, seen, later)
        smoothed = _combine(row, later)
        rows.append(smoothed)
        outputs["smoothed_state"][t], outputs["smoothed_state_cov"][t] = nearest(smoothed.mean), nearest(smoothed.cov)
        if row.factor is not None:
            outputs["smoothed_state_diffuse"][t] = _unseen(row.factor, later)
    return outputs, rows[::-1]


def _shock_variances(system: ExactSystem, period: int, later: Later) -> Floats:
    """The diagonal of Q - Q R' N R Q [r] (section 4.5)."""
    cov, enters = system.shocks(period)
    return diagonal(cov - enters * later.n * enters.transpose())


def _across(transition: Matrix, turned: Matrix, later: Later) -> Later:
    """From state[t+1] to state[t] after its observation: T' r and T' N T."""

    def between(n: Matrix) -> Matrix:
        return (turned * n * transition).mid()

    adjoint = later.adjoint
    if adjoint is not None:
        adjoint = DiffuseAdjoint((turned * adjoint.r1).mid(), between(adjoint.n1), between(adjoint.n2))
    return Later((turned * later.r).mid(), between(later.n), adjoint)


def _observe(row: Row, seen: Observed, later: Later) -> Later:
    """Take the observation in: eq. 4.38, 4.42, and eq. 5.19 to 5.22 where it met the diffuse part."""
    k, z, zt = row.gain, seen.design, seen.turned
    if k is None or row.error is None:
        return later
    kt = k.transpose()

    def folded(n: Matrix) -> Matrix:
        """(I - K Z)' N (I - K Z)."""
        moved = n * k
        across = zt * moved.transpose()
        return n - across - across.transpose() + outer(zt, z, (kt * moved)[0, 0])

    r, n = later.r - zt * (kt * later.r), folded(later.n)
    adjoint = later.adjoint
    if not row.met:
        weight = ONE / row.var
        r, n = r + zt * (row.error * weight), n + outer(zt, z, weight)
        if adjoint is not None:
            r1 = adjoint.r1 - zt * (kt * adjoint.r1)
            adjoint = DiffuseAdjoint(r1.mid(), folded(adjoint.n1).mid(), folded(adjoint.n2).mid())
        return Later(r.mid(), n.mid(), adjoint)
    assert adjoint is not None  # noqa: S101  the row is diffuse
    weight = ONE / row.diffuse_var
    k1 = (row.state_obs_cov - k * row.var) * weight

    def crossed(inner: Matrix) -> Matrix:
        """(I - K∞ Z)' N K1 [n, 1], the other side being Z."""
        moved = inner * k1
        return moved - zt * (kt * moved)[0, 0]

    cross, cross_1 = crossed(later.n) * z, crossed(adjoint.n1) * z
    bent = (k1.transpose() * later.n * k1)[0, 0]
    n1 = folded(adjoint.n1) + outer(zt, z, weight) - cross - cross.transpose()
    n2 = folded(adjoint.n2) + outer(zt, z, bent - row.var * weight * weight) - cross_1 - cross_1.transpose()
    r1 = adjoint.r1 - zt * (kt * adjoint.r1) + zt * (row.error * weight) - zt * (k1.transpose() * later.r)
    return Later(r.mid(), n.mid(), DiffuseAdjoint(r1.mid(), n1.mid(), n2.mid()))


def _combine(row: Row, later: Later) -> Smoothed:
    """Eq. 4.39 and 4.43; eq. 5.23 and 5.24 while something is diffuse."""
    p, adjoint, a = row.cov, later.adjoint, row.factor
    mean = row.mean + p * later.r
    cov = p - p * later.n * p
    if a is not None and adjoint is not None:
        turned = a.transpose()
        mean = mean + a * (turned * adjoint.r1)
        mixed = a * (turned * adjoint.n1) * p
        cov = cov - mixed - mixed.transpose() - a * (turned * adjoint.n2 * a) * turned
    return Smoothed(mean.mid(), cov.mid())


def _unseen(factor: Matrix, later: Later) -> Floats:
    """Which states the observations leave diffuse [n]: A' N1 A projects on the directions that they determine."""
    assert later.adjoint is not None  # noqa: S101  the row is diffuse
    left = (factor - factor * (factor.transpose() * later.adjoint.n1 * factor)).mid()
    size = squared(factor.entries())
    return np.array([float(squared(line) > TOLD * size) for line in left.table()])
