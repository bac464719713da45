"""What travels from the edge to a replica for a call of `/kalman/fit`."""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec

# Of the time that a call has left when it is sent: what the way back, and a chunk of time under way, may take, and
# what writing an answer for each series takes.
MARGIN_SHARE: Final = 0.2
MARGIN_S: Final = 0.1
MARGIN_A_SERIES_S: Final = 0.0005


@dataclass(frozen=True, slots=True)
class FitJob:
    """One call's series, and the model whose parameters each of them tells."""

    model: ModelSpec
    """With the values to start from."""
    series: tuple[NDArray[np.float64], ...]
    """[T] or [T, m] each, NaN where missing."""
    free: tuple[str, ...]
    """Names of `statespace.kinds.parameters`."""
    method: Literal["mle", "em"]
    starts: int
    max_iterations: int
    loglike: Literal["full", "kfas"]
    seconds: float = 0.0
    """How long it may take, from its arrival at the replica on."""

    def within(self, left_s: float) -> Self:
        """The job of a call that has so many seconds left."""
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
