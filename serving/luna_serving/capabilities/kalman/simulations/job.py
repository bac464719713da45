"""What travels from the edge to a replica for a call of `/kalman/simulate`."""

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
    """Periods to draw where no series are given."""
    initial_state: tuple[float, ...] | None = None
    """The state of the first period, NaN where it is drawn; not with series."""
    series: tuple[NDArray[np.float64], ...] = ()
    """[T] or [T, m] each, NaN where missing; the draws are given these."""
    steps: int = 0
    """Periods beyond the end of each series."""
    seconds: float = math.inf
    """How long it may take, from its arrival at the replica on."""

    def within(self, left_s: float) -> Self:
        """The job of a call that has so many seconds left."""
        return replace(self, seconds=max(0.0, left_s))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Observations of each series that is given."""
        return tuple(map(len, self.series))

    @property
    def points(self) -> int:
        """Periods that are computed, over all draws."""
        return self.draws * self.periods

    @property
    def periods(self) -> int:
        """Periods of one draw of everything."""
        return sum(len(each) + self.steps for each in self.series) if self.series else self.length

    @property
    def longest(self) -> int:
        """Periods of the longest path."""
        return max((len(each) + self.steps for each in self.series), default=self.length)

    @property
    def heavy(self) -> bool:
        """Draws are many series."""
        return True
