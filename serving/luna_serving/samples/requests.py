"""What the shard of an account can be asked about its samples. Every request is safe to repeat."""

from collections.abc import Sequence
from dataclasses import dataclass

from luna_serving.engines.promql.api import LOOKBACK_MS
from luna_serving.samples.batch import Batch


@dataclass(frozen=True, slots=True)
class Write:
    """Keep samples. They are durable once the answer, `answers.Written`, is there."""

    batch: Batch
    limits: "WriteLimits"


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """The account's limits as of the call."""

    active_series: int
    """Series with samples in the last hours; a series that is not active beyond this number is refused."""
    samples_per_s: int
    """Sustained samples per second; a burst of ten seconds' worth is allowed."""


@dataclass(frozen=True, slots=True)
class InstantQuery:
    """PromQL at one time."""

    text: str
    at_ms: int
    lookback_ms: int = LOOKBACK_MS
    """How old the sample of an instant selector may be."""


@dataclass(frozen=True, slots=True)
class Instant:
    """Evaluate queries at one time each. The answer is a sequence, in order, of results or `answers.QueryRefused`."""

    queries: Sequence[InstantQuery]
    most_samples: int
    """Samples that a query may read."""
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Range:
    """Evaluate PromQL at steps. The answer is a `Matrix` of the engine, or `answers.QueryRefused`."""

    text: str
    start_ms: int
    end_ms: int
    step_ms: int
    most_samples: int
    timeout_s: float
    lookback_ms: int = LOOKBACK_MS


@dataclass(frozen=True, slots=True)
class Latest:
    """The last sample of each series that one of the selectors matches: `answers.LatestSamples`."""

    selectors: Sequence[str]
    """PromQL vector selectors without `offset` and `@`."""
    most_series: int
