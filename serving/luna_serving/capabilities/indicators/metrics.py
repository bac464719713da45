"""What the indicators capability counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from luna_serving.capabilities.indicators.cache.status import Outcome
from luna_serving.telemetry.metrics import SECONDS


class CacheMetrics:
    """Of an ingress replica's cache."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "luna_indicators_cache_requests_total",
            "Histories that were looked for, by how they were found.",
            ["outcome"],
            registry=registry,
        )
        self.requests = {outcome: requests.labels(outcome.value) for outcome in Outcome}
        self.errors = Counter(
            "luna_indicators_cache_errors_total", "Round trips of the cache that Redis failed.", registry=registry
        )
        self.breaker_open = Gauge(
            "luna_indicators_cache_breaker_open", "Ingress replicas that leave the cache alone.", registry=registry
        )
        self.memory_bytes = Gauge(
            "luna_indicators_memory_bytes", "Bytes of histories and answers in ingress replicas.", registry=registry
        )


class ReplicaMetrics:
    """Of a replica that computes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "luna_indicators_seconds", "Time to compute a batch of histories.", buckets=SECONDS, registry=registry
        )
        self.histories = Counter("luna_indicators_histories_total", "Histories that were computed.", registry=registry)
        self.bars = Counter("luna_indicators_bars_total", "Bars that they have.", registry=registry)
