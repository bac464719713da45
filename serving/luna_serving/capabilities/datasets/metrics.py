"""The metrics of data sets, by the names that the first users of the interface gave them."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

M = TypeVar("M")

SECONDS: Final = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
# Seconds after which gauges that nobody has read again are left out: another worker reads them now.
FRESH_S: Final = 20.0


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


class _ReadGauges(Collector):
    """Gauges that one process of the installation reads from Postgres."""

    def __init__(self, what: Mapping[str, str]) -> None:
        self._what = what
        self._values: dict[str, float] = {}
        self._at = 0.0

    def set(self, values: Mapping[str, float]) -> None:
        self._values = dict(values)
        self._at = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        fresh = self._values if time.monotonic() - self._at < FRESH_S else {}
        for name, what in self._what.items():
            family = GaugeMetricFamily(name, what)
            if name in fresh:
                family.add_metric([], fresh[name])
            yield family


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
        self._gauges = _ReadGauges(
            {
                "validation_queue_length": "Data sets whose validation waits for a worker.",
                "concurrent_uploads": "Data sets that are being uploaded: with a call within the last 15 minutes.",
            }
        )
        registry.register(self._gauges)

    def read(self, *, queue: int, uploads: int) -> None:
        """What Postgres says now."""
        self._gauges.set({"validation_queue_length": queue, "concurrent_uploads": uploads})


class Once(Generic[M]):
    """Makes metrics in the registry of a worker, once. Travels to the workers before it has any."""

    def __init__(self, make: Callable[[CollectorRegistry], M]) -> None:
        self._make = make
        self._made: M | None = None

    def __call__(self, registry: CollectorRegistry) -> M:
        """The metrics in this registry."""
        if self._made is None:
            self._made = self._make(registry)
        return self._made
