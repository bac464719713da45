"""What this process counts. `metrics_board` adds the processes up, so /metrics shows the whole application."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

M = TypeVar("M", Counter, Gauge, Histogram)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Bound(dict[tuple[str, ...], M], Generic[M]):
    """A labelled metric whose children are looked up once: `labels()` costs more than counting."""

    def __init__(self, metric: M) -> None:
        super().__init__()
        self._metric: M = metric

    def __missing__(self, labels: tuple[str, ...]) -> M:
        child: M = self._metric.labels(*labels)
        self[labels] = child
        return child


def _counter(name: str, help_: str, *labels: str) -> Counter:
    return Counter(name, help_, labels, registry=LUNA)


LUNA: CollectorRegistry = CollectorRegistry()
"""Luna's own metrics. Those of the process (memory, files) stay in prometheus-client's registry."""

REQUESTS = Bound(_counter("luna_requests_total", "Answers, by route and status.", "route", "status"))
REQUEST_SECONDS = Bound(
    Histogram(
        "luna_request_seconds", "Time from a request's head to its answer.", ["route"], buckets=SECONDS, registry=LUNA
    )
)
DEBITS = Bound(_counter("luna_debits_total", "Decisions on debits, by store and outcome.", "store", "outcome"))
UNITS = Bound(_counter("luna_units_total", "Units (series) that were served, by route.", "route"))
REFUNDS = _counter("luna_refunds_total", "Debits given back because the call failed on our side.")
FALLBACK = Gauge("luna_redis_gone", "Ingress replicas whose debits Postgres takes at present.", registry=LUNA)
SOCKETS = Gauge("luna_open_sockets", "WebSocket connections that are open.", registry=LUNA)


@dataclass(frozen=True, slots=True)
class GateMetrics:
    """Batches and the queue of one capability."""

    batch_calls: Histogram
    replica_seconds: Histogram
    queued: Gauge


class DispatchMetrics:
    """Batches, round trips and queues, by capability: two capabilities never add up to one series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["capability"]
        self._batch_calls = Histogram(
            "luna_batch_calls", "Calls that shared a round trip.", labels, buckets=SIZES, registry=registry
        )
        self._replica_seconds = Histogram(
            "luna_replica_seconds", "Time of a round trip to a replica.", labels, buckets=SECONDS, registry=registry
        )
        self._queued = Gauge("luna_queued_calls", "Calls that wait for a round trip.", labels, registry=registry)

    def of(self, capability: str) -> GateMetrics:
        """Those of one capability."""
        return GateMetrics(
            self._batch_calls.labels(capability),
            self._replica_seconds.labels(capability),
            self._queued.labels(capability),
        )
