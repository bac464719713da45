"""What a process counts of its calls to the object store."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from luna_serving.telemetry.metrics import SECONDS


class ObjectMetrics:
    """By operation: put, get, head, copy, delete, list, multipart (start and abort), complete, ping."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "luna_objects_request_seconds",
            "Time of a call to the object store, repeats included.",
            ["operation"],
            buckets=SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "luna_objects_failures_total",
            "Calls to the object store that failed because it was out of reach, too slow or refused them.",
            ["operation"],
            registry=registry,
        )
