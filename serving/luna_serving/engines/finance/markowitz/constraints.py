"""What a portfolio may hold: bounds, groups, turnover, tracking error; and the names of such constraints."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["bounds", "groups", "turnover", "tracking_error", "target"]
Side = Literal["min", "max"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Names one inequality."""

    kind: Kind
    index: int = 0
    """Of the asset (bounds) or of the group; else 0."""
    side: Side = "max"


@dataclass(frozen=True, slots=True)
class Group:
    """The sum of the weights of some assets lies between two numbers."""

    members: tuple[int, ...]
    minimum: float = -np.inf
    maximum: float = np.inf


@dataclass(frozen=True, slots=True)
class Turnover:
    """sum |w - start| is at most a number."""

    start: Floats
    most: float


@dataclass(frozen=True, slots=True)
class Tracking:
    """The standard deviation of the return less that of a benchmark is at most a number."""

    benchmark: Floats
    most: float


@dataclass(frozen=True, slots=True)
class Constraints:
    """All constraints of a portfolio of n assets; the weights sum to one besides."""

    lower: Floats
    """[n], finite."""
    upper: Floats
    groups: tuple[Group, ...] = ()
    turnover: Turnover | None = None
    tracking: Tracking | None = None

    @classmethod
    def long_only(cls, n: int) -> "Constraints":
        """Weights from 0 to 1."""
        return cls(np.zeros(n), np.ones(n))

    @property
    def only_bounds(self) -> bool:
        """Whether the critical line algorithm applies."""
        return not self.groups and self.turnover is None and self.tracking is None

    def excess(self, weights: Floats, cov: Floats) -> dict[Place, float]:
        """By how much a portfolio violates each constraint that it violates by more than rounding."""
        found: dict[Place, float] = {}
        for i in np.flatnonzero(weights < self.lower - ROUNDING):
            found[Place("bounds", int(i), "min")] = float(self.lower[i] - weights[i])
        for i in np.flatnonzero(weights > self.upper + ROUNDING):
            found[Place("bounds", int(i), "max")] = float(weights[i] - self.upper[i])
        for g, group in enumerate(self.groups):
            held = float(weights[list(group.members)].sum())
            if held < group.minimum - ROUNDING:
                found[Place("groups", g, "min")] = group.minimum - held
            if held > group.maximum + ROUNDING:
                found[Place("groups", g, "max")] = held - group.maximum
        if self.turnover is not None:
            traded = float(np.abs(weights - self.turnover.start).sum())
            if traded > self.turnover.most + ROUNDING:
                found[Place("turnover")] = traded - self.turnover.most
        if self.tracking is not None:
            error = deviation(cov, weights - self.tracking.benchmark)
            if error > self.tracking.most * (1 + ROUNDING):
                found[Place("tracking_error")] = error - self.tracking.most
        return found


# What a sum of weights near one is off by, at most.
ROUNDING: Final = 1e-10


def deviation(cov: Floats, weights: Floats) -> float:
    """The standard deviation of a portfolio: sqrt(w' cov w)."""
    return float(np.sqrt(max(0.0, float(weights @ cov @ weights))))
