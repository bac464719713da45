"""The joint Gaussian of all states and observations of a series, conditioned densely and exactly.

No filter recursion: the moments of everything are written down, delta is eliminated by the first observations that
tell of it, and the rest is one Gaussian conditioning. In letters: x[t] = m[t] + D[t] delta + s[t] with Cov s known;
y = m + X delta + e with Cov e = V. Let B be the first observations whose rows of X are independent. Under
delta ~ N(0, kappa I) and kappa -> infinity (Durbin & Koopman 2012, section 5.7), given the rows of B that were seen,

    delta = X_B^+ (y_B - e_B) + what no row of B tells, of variance kappa (I - X_B^+ X_B),

and every other observation is a contrast c = e - X X_B^+ e_B without delta. So

    E x = m + D X_B^+ y_B + Cov(s - D X_B^+ e_B, c) Cov(c)^-1 c,

its finite covariance is that of s - D X_B^+ e_B given c, and its infinite part kappa D (I - X_B^+ X_B) D'. The
log-likelihood is -1/2 (N ln 2 pi + ln det X_B X_B' + ln det Cov c + c' Cov(c)^-1 c). Cov c is factored as L F L' in
the order of time, so that every prefix of the series is a leading block.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import flint
import numpy as np
from numpy.typing import NDArray

from .matrices import (
    Matrix,
    Number,
    columns,
    floats,
    identity,
    inverse,
    matrix,
    product,
    rows,
    stacked,
    symmetric,
    zeros,
)
from .system import System

Floats = NDArray[np.float64]
# Below these shares a number is the rounding of zero: of a row of X, given the rows before it, and of a variance,
# given the observations before it.
TOLD: Final = 1e-120
CERTAIN: Final = 1e-110


@dataclass(frozen=True)
class Moments:
    """Of one state: mean [n, 1], finite covariance [n, n], and the infinite part [n, n]."""

    mean: Matrix
    cov: Matrix
    infinite: Matrix


@dataclass(frozen=True)
class _Seen:
    """What an observation of the first pass is worth."""

    basis: bool
    """It tells a direction of delta."""
    size: Number
    """F∞ of one that does, F of one that does not; zero where the observations before it tell it exactly."""
    error: Number
    """v of one that does not tell of delta."""


class Joint:
    """One system with one series [T], NaN where missing, and `ahead` periods beyond its end."""

    def __init__(self, system: System, y: Floats, ahead: int = 0) -> None:
        self.system, self.y, self.periods = system, y, len(y) + 1 + ahead
        self.times = [t for t in range(len(y)) if not np.isnan(y[t])]
        self._unconditional()
        self._joint()
        self._eliminate()
        self._factor()

    def _unconditional(self) -> None:
        """m[t], D[t] and Cov s[t] for every period."""
        system = self.system
        assert system.mean is not None
        assert system.cov is not None
        assert system.diffuse is not None
        self.m, self.d, self.p = [system.mean], [system.diffuse], [system.cov]
        for t in range(self.periods - 1):
            step = system.at(system.transition, t)
            self.m.append((step * self.m[-1] + system.intercept).mid())
            self.d.append(product(step, self.d[-1]))
            moved = product(step, self.p[-1], step.transpose())
            self.p.append(symmetric((moved + system.at(system.noise, t)).mid()))

    def _joint(self) -> None:
        """Cov(s[t], e) [n, N] for every period, V [N, N], X [N, k] and y - m [N, 1]."""
        system, n = self.system, self.system.states
        z = [system.at(system.design, t) for t in self.times]
        past: list[Matrix] = [zeros(n, 0)]
        """Columns for the observations before t."""
        seen = 0
        for t in range(self.periods):
            now = past[-1] if t == 0 else product(system.at(system.transition, t - 1), past[-1])
            if seen < len(self.times) and self.times[seen] == t:
                now = _beside(now, product(self.p[t], z[seen].transpose()))
                seen += 1
            past = [*past[:-1], now, now]
        past = past[:-1]
        future = zeros(0, n)
        """Rows Z Phi for the observations from t on."""
        self.cross: list[Matrix] = [zeros(0, 0)] * self.periods
        for t in reversed(range(self.periods)):
            if t < len(self.y):
                future = product(future, system.at(system.transition, t))
                self.cross[t] = _beside(past[t], product(future, self.p[t]).transpose())
                place = self.times.index(t) if t in set(self.times) else None
                if place is not None:
                    future = stacked([z[place], future])
            else:
                self.cross[t] = past[t]
        count = len(self.times)
        self.v, self.x, self.r = zeros(count, count), zeros(count, self.d[0].ncols()), zeros(count, 1)
        for i, t in enumerate(self.times):
            line = product(z[i], self.cross[t])
            told, expected = product(z[i], self.d[t]), product(z[i], self.m[t])
            for j in range(count):
                self.v[i, j] = line[0, j]
            self.v[i, i] = (line[0, i] + system.obs_var).mid()
            for j in range(told.ncols()):
                self.x[i, j] = told[0, j]
            self.r[i, 0] = (flint.arb(float(self.y[t])) - expected[0, 0]).mid()

    def _eliminate(self) -> None:
        """B, by Gram-Schmidt in the order of time, and c = M y with Cov c = M V M'."""
        count, k = self.x.nrows(), self.x.ncols()
        left = [[self.x[i, j] for j in range(k)] for i in range(count)]
        units: list[tuple[list[Number], Number]] = []
        self.basis: list[int] = []
        self.infinite: dict[int, Number] = {}
        self.faintest = 1.0
        """How little of its row an observation of B tells beyond those before it."""
        for i in range(count):
            row, whole = left[i], _squared(left[i])
            for unit, size in units:
                share = (_dot(row, unit) / size).mid()
                row = [(a - share * b).mid() for a, b in zip(row, unit, strict=True)]
            size = _squared(row)
            if k and size > TOLD * whole and len(units) < k:
                units.append((row, size))
                self.basis.append(i)
                self.infinite[i] = size
                self.faintest = min(self.faintest, float((size / whole).sqrt()))
        self.contrasts = [i for i in range(count) if i not in self.infinite]
        self.inverses = [self._pseudo_inverse(rank) for rank in range(len(self.basis) + 1)]
        weights = identity(count)
        told = product(rows(self.x, self.contrasts), self.inverses[-1])
        for row_, i in enumerate(self.contrasts):
            for j, b in enumerate(self.basis):
                # Rows of B that come later have weight zero but for rounding.
                weights[i, b] = -told[row_, j] if b < i else flint.arb(0)
        self.contrast = rows(weights, self.contrasts)
        self.c = product(self.contrast, self.r)
        self.cov_c = symmetric(product(self.contrast, self.v, self.contrast.transpose()))

    def _pseudo_inverse(self, rank: int) -> Matrix:
        """X_B^+ [k, rank] of the first rows of B."""
        x = rows(self.x, self.basis[:rank])
        return product(x.transpose(), inverse(product(x, x.transpose())))

    def _factor(self) -> None:
        """L, F and the innovations L^-1 c; an observation that is certain beforehand has F = 0 and says nothing."""
        count = len(self.contrasts)
        lower = [[self.cov_c[i, j] for j in range(i + 1)] for i in range(count)]
        self.pivots: list[Number] = []
        for j in range(count):
            mine = lower[j]
            scaled = [(mine[k] * self.pivots[k]).mid() for k in range(j)]
            pivot = (mine[j] - _dot(scaled, mine[:j])).mid()
            certain = pivot <= CERTAIN * (abs(self.cov_c[j, j]) + abs(self.v[self.contrasts[j], self.contrasts[j]]))
            self.pivots.append(flint.arb(0) if certain else pivot)
            for i in range(j + 1, count):
                entry = (lower[i][j] - _dot(scaled, lower[i][:j])).mid()
                lower[i][j] = flint.arb(0) if certain else (entry / pivot).mid()
            mine[j] = flint.arb(1)
        whole = zeros(count, count)
        for i, row in enumerate(lower):
            for j, entry in enumerate(row):
                whole[i, j] = entry
        self.unmix = inverse(whole)
        self.innovations = product(self.unmix, self.c)

    @cached_property
    def seen(self) -> dict[int, _Seen]:
        """What each observation was worth, by its period."""
        answer = {self.times[i]: _Seen(True, size, flint.arb(0)) for i, size in self.infinite.items()}
        for j, i in enumerate(self.contrasts):
            answer[self.times[i]] = _Seen(False, self.pivots[j], self.innovations[j, 0])
        return answer

    @property
    def impossible(self) -> list[int]:
        """Periods whose observation is not what the earlier ones make certain."""
        largest = max((abs(float(x)) for x in self.c.entries()), default=0.0)
        return [
            t
            for t, seen in self.seen.items()
            if not seen.basis and not seen.size > 0 and abs(float(seen.error)) > 1e-12 * largest
        ]

    def loglike_obs(self) -> Floats:
        """What each observation adds to the log-likelihood [T]."""
        answer = np.zeros(len(self.y))
        for t, seen in self.seen.items():
            if seen.size > 0:
                exact = flint.arb.pi() * 2 * seen.size
                answer[t] = float(-(exact.log() + seen.error * seen.error / seen.size) / 2)
        return answer

    def loglike(self) -> float:
        total = flint.arb(0)
        for seen in self.seen.values():
            if seen.size > 0:
                total -= ((flint.arb.pi() * 2 * seen.size).log() + seen.error * seen.error / seen.size) / 2
        return float(total)

    def states(self, wanted: list[tuple[int, int]]) -> list[Moments]:
        """Moments of state[t] given the observations of the first `upto` periods, for each (t, upto)."""
        answers: dict[tuple[int, int], Moments] = {}
        by_rank: dict[int, list[tuple[int, int]]] = {}
        for t, upto in wanted:
            rank = sum(self.times[i] < upto for i in self.basis)
            by_rank.setdefault(rank, []).append((t, upto))
        for rank, pairs in by_rank.items():
            answers.update(zip(pairs, self._given(rank, pairs), strict=True))
        return [answers[pair] for pair in wanted]

    def _given(self, rank: int, pairs: list[tuple[int, int]]) -> list[Moments]:
        basis, k = self.basis[:rank], self.x.ncols()
        inv = self.inverses[rank]
        unknown = (identity(k) - product(inv, rows(self.x, basis))).mid() if rank < k else zeros(k, k)
        v_b, r_b = rows(self.v, basis), rows(self.r, basis)
        v_bb = columns(v_b, basis)
        mixed = product(self.contrast.transpose(), self.unmix.transpose())
        times = sorted({t for t, _ in pairs})
        gains = {t: product(self.d[t], inv) for t in times}
        free = [(self.cross[t] - gains[t] * v_b).mid() for t in times]
        joint = product(stacked(free), mixed) if len(self.contrasts) else zeros(len(times) * self.system.states, 0)
        n = self.system.states
        covs = {t: rows(joint, range(i * n, i * n + n)) for i, t in enumerate(times)}
        answer = []
        for t, upto in pairs:
            gain, own = gains[t], columns(self.cross[t], basis)
            known = [j for j, i in enumerate(self.contrasts) if self.times[i] < upto and self.pivots[j] > 0]
            with_c = columns(covs[t], known)
            scaled = zeros(n, len(known))
            for j, place in enumerate(known):
                for i in range(n):
                    scaled[i, j] = with_c[i, j] / self.pivots[place]
            mean = (self.m[t] + gain * r_b + scaled * rows(self.innovations, known)).mid()
            # Four terms that may each be far larger than their sum.
            before = (self.p[t] - own * gain.transpose() - gain * own.transpose()).mid()
            before = (before + product(gain, v_bb, gain.transpose())).mid()
            cov = symmetric((before - scaled * with_c.transpose()).mid())
            infinite = product(self.d[t], unknown, self.d[t].transpose())
            answer.append(Moments(mean, cov, infinite))
        return answer


def _beside(left: Matrix, right: Matrix) -> Matrix:
    if not left.ncols():
        return right
    return stacked([left.transpose(), right.transpose()]).transpose() if right.ncols() else left


def _dot(left: list[Number], right: list[Number]) -> Number:
    total = flint.arb(0)
    for a, b in zip(left, right, strict=True):
        total += a * b
    return total.mid()


def _squared(row: list[Number]) -> Number:
    return _dot(row, row)


def to_float(moments: Moments) -> tuple[Floats, Floats, Floats]:
    """Mean [n], covariance [n, n] and the infinite part [n, n] in float64."""
    return floats(moments.mean)[:, 0], floats(moments.cov), floats(moments.infinite)


__all__ = ["Joint", "Moments", "matrix", "to_float"]
