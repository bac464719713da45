"""The metrics of data sets, by the names that the first users of the interface gave them."""

import threading
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from luna_serving.telemetry.read_gauges import ReadGauges

SECONDS: Final = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class _Count(Collector):
    """A counter whose sample has the metric's own name: the library would append `_total`."""

    def __init__(self, name: str, what: str) -> None:
        self._name = name
        self._what = what
        self._value = 0.0
        self._lock = threading.Lock()

    def add(self, amount: float) -> None:
        with self._lock:
            self._value += amount

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._what, "counter")
        metric.add_sample(self._name, {}, self._value)
        return [metric]


class ValidationMetrics:
    """What a worker counts of the sets that it validates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "validation_duration_seconds",
            "Time from the call that completes an upload to the verdict, by the set's type and state.",
            ["type", "state"],
            buckets=SECONDS,
            registry=registry,
        )
        self._uploads = _Count("s3_upload_count", "Files that were uploaded and verified.")
        self._bytes = _Count("s3_upload_bytes", "Bytes of files that were uploaded and verified.")
        for collector in (self._uploads, self._bytes):
            registry.register(collector)

    def verified(self, size: int) -> None:
        """A file was read whole and is what its owner declared."""
        self._uploads.add(1)
        self._bytes.add(size)

    def judged(self, kind: str, state: str, seconds: float) -> None:
        """A validation has ended."""
        self._seconds.labels(kind, state).observe(seconds)


class SetGauges:
    """What the worker that holds the loop reads from Postgres."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = ReadGauges(
            {
                "validation_queue_length": "Data sets whose validation waits for a worker.",
                "concurrent_uploads": "Data sets that are being uploaded: with a call within the last 15 minutes.",
            }
        )
        registry.register(self._gauges)

    def read(self, *, queue: int, uploads: int) -> None:
        """What Postgres says now."""
        self._gauges.set({"validation_queue_length": queue, "concurrent_uploads": uploads})
