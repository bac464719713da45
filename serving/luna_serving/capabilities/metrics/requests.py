"""What only this capability asks a shard; `luna_serving.samples.requests` has the rest. Each is safe to repeat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ListSeries:
    """The labels of the series that one of the selectors matches, with samples in a period: `Listed`."""

    selectors: Sequence[str]
    """PromQL vector selectors; none for all series."""
    first_ms: int
    last_ms: int
    most: int


@dataclass(frozen=True, slots=True)
class ListLabels:
    """The names of labels, or the values of one, of the series as in `ListSeries`: `Listed`."""

    label: str | None
    """None for names."""
    selectors: Sequence[str]
    first_ms: int
    last_ms: int
    most: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Texts, sorted; or labels of series."""

    items: Sequence[str] | Sequence[Mapping[str, str]]
    cut: bool
    """Whether there are more than were asked for."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the samples of the series that a selector matches: `Summary`, or a `QueryRefused`."""

    selector: str
    first_ms: int
    last_ms: int
    quantiles: Sequence[float]
    most_samples: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Exact statistics of samples; staleness markers are not among them. NaN where there are no samples."""

    count: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    """Standard deviation of the population."""
    quantiles: Mapping[float, float]
    first: tuple[int, float] | None
    """Timestamp (ms) and value; of samples with one timestamp that of the first series by key."""
    last: tuple[int, float] | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Buckets of each series that a selector matches: `Aggregated`, or a `QueryRefused`."""

    selector: str
    interval_ms: int
    """One of 60,000, 300,000, 3,600,000 and 86,400,000."""
    first_ms: int
    last_ms: int
    most_samples: int
    most_buckets: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of a series by time, without empty ones; each array has shape (buckets,)."""

    labels: Mapping[str, str]
    start_ms: NDArray[np.int64]
    count: NDArray[np.int64]
    total: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The buckets of series, sorted by labels."""

    series: Sequence[Buckets]


@dataclass(frozen=True, slots=True)
class Describe:
    """Keep type, help and unit of metrics, by name. The answer is None once they are durable."""

    metadata: Mapping[str, tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Metadata:
    """Type, help and unit by the name of the metric: a dictionary."""

    name: str | None
    """None for all."""
    most: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what is kept of a deleted account, in memory and in Postgres. The answer is None."""
