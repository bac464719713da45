"""What live metrics count."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

COMMIT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
QUERY_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


class ShardMetrics:
    """Of a shard's process. Constructed once, though shards may be constructed again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples = Counter("luna_metrics_samples_total", "Samples that were made durable.", registry=registry)
        self._commits = Histogram(
            "luna_metrics_commit_seconds", "Seconds of a group commit.", buckets=COMMIT_S, registry=registry
        )
        self._writes = Counter(
            "luna_metrics_group_writes_total",
            "Writes of accounts, of which one commit holds several.",
            registry=registry,
        )
        self._failures = Counter(
            "luna_metrics_commit_failures_total", "Group commits that failed and were repeated.", registry=registry
        )
        self._flushed = Counter(
            "luna_metrics_chunk_samples_total", "Samples that were put into chunks.", registry=registry
        )
        self._bytes = Counter("luna_metrics_chunk_bytes_total", "Bytes of the data of chunks.", registry=registry)
        self._compacted = Counter(
            "luna_metrics_compacted_days_total",
            "Days of accounts that were compacted and rolled up.",
            registry=registry,
        )
        self._refused = Counter(
            "luna_metrics_refused_total", "Series and writes beyond a limit.", ["limit"], registry=registry
        )
        self._queries = Histogram(
            "luna_metrics_query_seconds",
            "Seconds of a query in the shard.",
            ["kind"],
            buckets=QUERY_S,
            registry=registry,
        )
        self.state = _State()
        registry.register(self.state)

    def committed(self, seconds: float, writes: int, samples: int) -> None:
        """Count a group commit."""
        self._commits.observe(seconds)
        self._writes.inc(writes)
        self._samples.inc(samples)

    def commit_failed(self) -> None:
        """Count a failed commit."""
        self._failures.inc()

    def flushed(self, samples: int, size: int) -> None:
        """Count what was put into chunks."""
        self._flushed.inc(samples)
        self._bytes.inc(size)

    def compacted(self) -> None:
        """Count a day."""
        self._compacted.inc()

    def refused(self, limit: str, count: int) -> None:
        """Count refusals."""
        self._refused.labels(limit).inc(count)

    def queried(self, kind: str, seconds: float) -> None:
        """Count a query."""
        self._queries.labels(kind).observe(seconds)


class _State(Collector):
    """Gauges that are read when they are scraped, from the shard that is open."""

    def __init__(self) -> None:
        self.read: Callable[[], dict[str, float]] | None = None
        """Returns the values by name, without the prefix; None while no shard is open."""

    _HELP: Final = {
        "head_samples": "Samples in memory that are not in chunks yet.",
        "head_age_seconds": "Seconds since the oldest of them came.",
        "series": "Series of the accounts that are in memory.",
        "waiting_samples": "Samples that wait for a group commit.",
        "largest_label_values": "Values of the label with the most values of one account.",
        "cache_bytes": "Bytes of decoded chunks in memory.",
        "query_samples": "Samples and values that queries hold in memory.",
    }

    def collect(self) -> Iterable[Metric]:
        """The gauges, for the registry; without values while no shard is open."""
        values = self.read() if self.read is not None else {}
        for name, words in self._HELP.items():
            family = GaugeMetricFamily(f"luna_metrics_{name}", words)
            if name in values:
                family.add_metric([], values[name])
            yield family
