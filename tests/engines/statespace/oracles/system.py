"""A linear Gaussian model of one observed element, in exact numbers, and the starts that the wire has for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import flint

from .matrices import Matrix, Number, identity, inverse, matrix, number, product, sandwich, size, symmetric, zeros

Words = Mapping[str, Any]


@dataclass(frozen=True)
class System:
    """y[t] = Z[t] x[t] + d + e, x[t+1] = T[t] x[t] + c + u, x[0] = mean + A delta + N(0, cov), delta unknown.

    Matrices with an axis of time hold one entry a period; a single entry serves all periods.
    """

    transition: Sequence[Matrix]
    """[n, n]"""
    design: Sequence[Matrix]
    """[1, n]"""
    noise: Sequence[Matrix]
    """Cov u [n, n]"""
    intercept: Matrix
    """c [n, 1]"""
    obs_var: Number
    names: tuple[str, ...]
    mean: Matrix | None = None
    """[n, 1]"""
    cov: Matrix | None = None
    diffuse: Matrix | None = None
    """A [n, k]"""

    @property
    def states(self) -> int:
        return int(self.transition[0].nrows())

    def at(self, parts: Sequence[Matrix], t: int) -> Matrix:
        """The matrix of period t."""
        return parts[0] if len(parts) == 1 else parts[min(t, len(parts) - 1)]


def started(system: System, blocks: Sequence[tuple[Sequence[int], Words]]) -> System:
    """The system with a start for each block of states, in the wire's words."""
    n = system.states
    mean, cov = zeros(n, 1), zeros(n, n)
    unknown: list[int] = []
    for places, words in blocks:
        own_mean, own_cov = _moments(system, places, words)
        unknown += list(places) if words["kind"] == "diffuse" else []
        for i, row in enumerate(places):
            mean[row, 0] = own_mean[i, 0]
            for j, column in enumerate(places):
                cov[row, column] = own_cov[i, j]
    diffuse = zeros(n, len(unknown))
    for j, place in enumerate(unknown):
        diffuse[place, j] = flint.arb(1)
    return replace(system, mean=mean, cov=cov, diffuse=diffuse)


def _moments(system: System, places: Sequence[int], words: Words) -> tuple[Matrix, Matrix]:
    n = len(places)
    transition = _block(system.transition[0], places)
    noise = _block(system.noise[0], places)
    intercept = matrix([[system.intercept[place, 0]] for place in places])
    match words["kind"]:
        case "diffuse":
            return zeros(n, 1), zeros(n, n)
        case "approximate_diffuse":
            return zeros(n, 1), (identity(n) * number(words.get("variance", 1e6))).mid()
        case "stationary":
            mean = product(inverse((identity(n) - transition).mid()), intercept)
            return mean, stationary(transition, noise)
        case "known":
            mean, cov = matrix([[x] for x in words["mean"]]), matrix(words["cov"])
            if words.get("timing") == "filtered":
                mean = (product(transition, mean) + intercept).mid()
                cov = symmetric((sandwich(transition, cov) + noise).mid())
            return mean, cov
    raise ValueError(words["kind"])


def _block(whole: Matrix, places: Sequence[int]) -> Matrix:
    return matrix([[whole[i, j] for j in places] for i in places])


def stationary(transition: Matrix, noise: Matrix) -> Matrix:
    """P = T P T' + Q by doubling: the sum of T^k Q T'^k, twice as many terms a pass."""
    cov, power = noise, transition
    for _ in range(200):
        cov = symmetric((cov + sandwich(power, cov)).mid())
        power = product(power, power)
        if size(power) < 1e-140:
            return cov
    raise ValueError("the transition has no stationary moments")
