"""Samples of many series as columns: what every protocol is parsed into, and what shards take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one account, grouped by series; valid, in any order of time, duplicates allowed.

    Of samples with the same series and timestamp the later one in the batch counts.
    """

    keys: Sequence[bytes]
    """`identity.series_key` of each series; a series may occur more than once."""
    offsets: NDArray[np.int64]
    """Shape (series + 1,): the samples of series i are `[offsets[i], offsets[i + 1])`."""
    timestamps: NDArray[np.int64]
    """Shape (samples,): milliseconds since 1970."""
    values: NDArray[np.float64]
    """Shape (samples,): any float64; Prometheus' staleness marker is one NaN among others, kept bit for bit."""

    @property
    def samples(self) -> int:
        """How many samples it holds."""
        return len(self.timestamps)
