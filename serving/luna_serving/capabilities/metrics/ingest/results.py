"""What a parser returns: a batch, and what it has rejected and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.samples.batch import Batch
from luna_serving.wire.problems import TYPE_BASE

# Reasons that an answer of a protocol without rejections by item repeats.
MAX_SHOWN: Final = 3
# Rejections that an answer by item lists; the others are counted. A call of half a million wrong items would be
# answered with 100 MB otherwise.
MAX_LISTED: Final = 10_000


class Reason(StrEnum):
    """Why an item was rejected; the end of its `type` on the wire, which never changes meaning."""

    INVALID = "invalid"
    """It is malformed, or its name, labels, value or timestamp is none."""
    TOO_OLD = "sample-too-old"
    """Older than the retention."""
    TOO_NEW = "sample-too-new"
    """More than ten minutes ahead of the server's clock."""
    TOO_MANY_LABELS = "too-many-labels"
    """More labels than the limit `metrics.labels`."""
    TOO_MANY_SERIES = "too-many-series"
    """One active series more than the limit `metrics.active_series`."""
    NATIVE_HISTOGRAM = "native-histogram"
    """Native (exponential) histograms are not stored."""
    TEMPORALITY = "temporality"
    """OTLP: only cumulative sums and histograms are stored."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An item that is not in the batch."""

    index: int
    """Of the item in the request, from 0: an element of `metrics`, `series` or `timeseries`, a data point, a line."""
    reason: Reason
    detail: str
    """What is wrong and what to send instead."""
    pointer: str = ""
    """JSON pointer into the request; empty where the request is not JSON."""
    samples: int = 1
    """How many samples it has."""

    def as_dict(self) -> dict[str, Any]:
        """The member of `rejected` on the wire."""
        shown = {"index": self.index, "type": TYPE_BASE + self.reason, "detail": self.detail}
        return {**shown, "pointer": self.pointer} if self.pointer else shown


@dataclass(slots=True)
class Rejections:
    """Rejected items in the order in which they were found: the first ones, and counts of all."""

    most: int
    """How many are kept; the others are only counted."""
    kept: list[Rejection] = field(default_factory=list)
    samples: Counter[Reason] = field(default_factory=Counter)
    """Rejected samples by reason."""
    items: int = 0

    def add(self, rejection: Rejection) -> None:
        """Count one, and keep it if there is room."""
        self.items += 1
        self.samples[rejection.reason] += rejection.samples
        if len(self.kept) < self.most:
            self.kept.append(rejection)

    def in_words(self) -> str:
        """How many samples were rejected, and the first reasons."""
        shown = " ".join(each.detail for each in self.kept[:MAX_SHOWN])
        more = self.items - min(MAX_SHOWN, len(self.kept))
        rest = f" And {more} more." if more else ""
        return f"{self.samples.total()} samples were rejected. {shown}{rest}"


class MetricType(StrEnum):
    """The type of a metric, as Prometheus' metadata names it."""

    UNKNOWN = "unknown"
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    GAUGE_HISTOGRAM = "gaugehistogram"
    SUMMARY = "summary"
    INFO = "info"
    STATE_SET = "stateset"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a sender says about a metric."""

    name: str
    """Of the metric family: of a histogram without `_bucket`, `_sum`, `_count`."""
    type: MetricType
    help: str
    unit: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request, parsed."""

    batch: Batch
    items: NDArray[np.int64]
    """Shape (series,): the index of each series' item, so that a shard's refusals can be reported."""
    rejections: Rejections
    metadata: Sequence[Metadata] = ()
    exemplars: int = 0
    """Exemplars in the request; none is stored."""
