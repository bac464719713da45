"""What an ingress replica counts. The board adds the processes up, so /metrics shows the whole application.

Each class makes its metrics in the registry that it is given; the composition root makes one registry per process.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    # Imported only where an endpoint is set: it takes 0.2 s and 10 MB.
    from luna_store.platform.traces import Traces

M = TypeVar("M", Counter, Gauge, Histogram)

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "OTHER"
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Bound(dict[tuple[str, ...], M], Generic[M]):
    """A labelled metric whose children are looked up once: `labels()` costs more than counting."""

    def __init__(self, metric: M, *first: str) -> None:
        """Wrap a metric.

        Args:
            metric: with labels.
            first: the values of its first labels, where all children have the same.
        """
        super().__init__()
        self._metric: M = metric
        self._first = first

    def __missing__(self, labels: tuple[str, ...]) -> M:
        child: M = self._metric.labels(*self._first, *labels)
        self[labels] = child
        return child


class RequestMetrics:
    """Answers of all routes, and open WebSockets. Callers choose neither names nor numbers of series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["method", "route", "status"]
        self._requests = Counter(
            "http_requests_total", "Answers, by method, route and status.", labels, registry=registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request's head to its answer.",
            labels,
            buckets=SECONDS,
            registry=registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.sockets = Gauge("luna_open_sockets", "WebSocket connections that are open.", registry=registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer, `seconds` after its request's head."""
        children = self._children.get((method, route, status))
        if children is None:
            children = self._added(method, route, status)
        children[0].inc()
        children[1].observe(seconds)

    def upgraded(self, route: str, status: int) -> None:
        """Count the answer to an upgrade: 101, or the status of a refusal."""
        self._requests.labels("GET", route, status).inc()

    def _added(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        # A method that the route does not take makes one series, whichever it is.
        label = OTHER if method not in METHODS or status == 405 else method
        children = self._requests.labels(label, route, status), self._seconds.labels(label, route, status)
        if method in METHODS:  # what is kept here is as bounded as the labels
            self._children[method, route, status] = children
        return children


class AccessMetrics:
    """Debits and refunds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.debits = Bound(
            Counter(
                "luna_debits_total",
                "Decisions on debits, by store and outcome.",
                ["store", "outcome"],
                registry=registry,
            )
        )
        self.refunds = Counter(
            "luna_refunds_total", "Debits given back because the call failed on our side.", registry=registry
        )
        self.redis_gone = Gauge(
            "luna_redis_gone", "Ingress replicas whose debits Postgres takes at present.", registry=registry
        )


@dataclass(frozen=True, slots=True)
class GateMetrics:
    """What the gates of one capability record: batches, the queue, units, spans."""

    capability: str
    batch_calls: Histogram
    replica_seconds: Histogram
    queued: Gauge
    units: Bound[Counter]
    """By route."""
    traces: "Traces | None" = None


class DispatchMetrics:
    """Batches, round trips, queues and units, by capability: two capabilities never add up to one series."""

    def __init__(self, registry: CollectorRegistry, traces: "Traces | None" = None) -> None:
        labels = ["capability"]
        self._batch_calls = Histogram(
            "luna_batch_calls", "Calls that shared a round trip.", labels, buckets=SIZES, registry=registry
        )
        self._replica_seconds = Histogram(
            "luna_replica_seconds", "Time of a round trip to a replica.", labels, buckets=SECONDS, registry=registry
        )
        self._queued = Gauge("luna_queued_calls", "Calls that wait for a round trip.", labels, registry=registry)
        self._units = Counter(
            "luna_units_total", "Units that were served, by route.", [*labels, "route"], registry=registry
        )
        self._traces = traces

    def of(self, capability: str) -> GateMetrics:
        """Those of one capability."""
        return GateMetrics(
            capability,
            self._batch_calls.labels(capability),
            self._replica_seconds.labels(capability),
            self._queued.labels(capability),
            Bound(self._units, capability),
            self._traces,
        )
