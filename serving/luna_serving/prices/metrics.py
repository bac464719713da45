"""What a process counts of the files that it maps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from luna_serving.telemetry.metrics import SECONDS


class MappedMetrics:
    """Of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.files = Gauge("luna_prices_mapped_files", "Files of prices that are mapped.", registry=registry)
        self._seconds = Histogram(
            "luna_prices_map_seconds",
            "Time to fetch, verify and map a file of prices.",
            buckets=SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "luna_prices_map_failures_total", "Files of prices that could not be mapped.", registry=registry
        )

    @contextmanager
    def mapping(self) -> Iterator[None]:
        """Time one file."""
        begun = time.perf_counter()
        try:
            yield
        except Exception:
            self._failures.inc()
            raise
        finally:
            self._seconds.observe(time.perf_counter() - begun)
