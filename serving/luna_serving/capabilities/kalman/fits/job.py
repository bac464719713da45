"""The job of a call of `/kalman/fit`: what the edge sends to a replica."""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec

# Seconds reserved of a call's remaining time: for the way back and the current chunk, and for writing the answer of
# each series.
MARGIN_SHARE: Final = 0.2
MARGIN_S: Final = 0.1
MARGIN_A_SERIES_S: Final = 0.0005


@dataclass(frozen=True, slots=True)
class FitJob:
    """One call's series, and the model to estimate from each of them."""

    model: ModelSpec
    """The model; its values are the first start."""
    series: tuple[NDArray[np.float64], ...]
    """[T] or [T, m] each, NaN where missing."""
    free: tuple[str, ...]
    """Names of `statespace.kinds.parameters`."""
    method: Literal["mle", "em"]
    starts: int
    max_iterations: int
    loglike: Literal["full", "kfas"]
    seconds: float = 0.0
    """Seconds from its arrival at the replica to its deadline."""

    def within(self, left_s: float) -> Self:
        """The job for a call that has `left_s` seconds left."""
        margin = MARGIN_S + MARGIN_A_SERIES_S * len(self.series)
        return replace(self, seconds=max(0.0, left_s * (1 - MARGIN_SHARE) - margin))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Observations of each series."""
        return tuple(map(len, self.series))

    @property
    def points(self) -> int:
        """Observations in the call."""
        return sum(self.lengths)

    @property
    def longest(self) -> int:
        """Observations of the longest series."""
        return max(self.lengths)
