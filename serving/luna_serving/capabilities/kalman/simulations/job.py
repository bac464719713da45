"""The job of a call of `/kalman/simulate`: what the edge sends to a replica."""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class SimulateJob:
    """Draws from one model: of `length` periods, or given series."""

    model: ModelSpec
    draws: int
    seed: int
    outputs: tuple[str, ...]
    length: int = 0
    """Periods to draw if no series are given."""
    initial_state: tuple[float, ...] | None = None
    """The state of the first period, NaN for elements to draw; not with series."""
    series: tuple[NDArray[np.float64], ...] = ()
    """[T] or [T, m] each, NaN where missing; the draws are conditional on these."""
    steps: int = 0
    """Periods to draw beyond the end of each series."""
    seconds: float = math.inf
    """Seconds from its arrival at the replica to its deadline."""

    def within(self, left_s: float) -> Self:
        """The job for a call that has `left_s` seconds left."""
        return replace(self, seconds=max(0.0, left_s))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Observations of each given series."""
        return tuple(map(len, self.series))

    @property
    def points(self) -> int:
        """Periods to compute, over all draws."""
        return self.draws * self.periods

    @property
    def periods(self) -> int:
        """Periods of one draw of all series."""
        return sum(len(each) + self.steps for each in self.series) if self.series else self.length

    @property
    def longest(self) -> int:
        """Periods of the longest path."""
        return max((len(each) + self.steps for each in self.series), default=self.length)

    @property
    def heavy(self) -> bool:
        """True: draws cost as much as many series."""
        return True
