"""Gauges that one process of the installation reads from a store, and metrics that are made where they are needed."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

M = TypeVar("M")

FRESH_S: Final = 20.0


class ReadGauges(Collector):
    """Gauges without labels, of a loop that may move to another process."""

    def __init__(self, what: Mapping[str, str], *, fresh_s: float = FRESH_S) -> None:
        """Have no values yet.

        Args:
            what: the help of each, by its name.
            fresh_s: seconds after which gauges that were not read again are left out: another worker reads them now.
        """
        self._what = what
        self._fresh_s = fresh_s
        self._values: dict[str, float] = {}
        self._at = 0.0

    def set(self, values: Mapping[str, float]) -> None:
        """Show these values."""
        self._values = dict(values)
        self._at = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        """The gauges, for the registry."""
        fresh = self._values if time.monotonic() - self._at < self._fresh_s else {}
        for name, what in self._what.items():
            family = GaugeMetricFamily(name, what)
            if name in fresh:
                family.add_metric([], fresh[name])
            yield family


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
