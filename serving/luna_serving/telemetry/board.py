"""Adds up the metrics of all replicas: behind a proxy, a scrape reaches one of them at random.

Every replica reports its samples here every five seconds. Counters of a replica that has gone stay in the sum, so no
counter ever falls while the board lives; its gauges leave with it.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

# A replica reports every five seconds; one that has been silent for this long has gone.
SILENT_S = 15.0
ADDED_UP = frozenset({"counter", "histogram", "summary"})

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric of one replica."""

    name: str
    help: str
    kind: str
    samples: tuple[tuple[Key, float], ...]


def snapshot(registry: CollectorRegistry) -> Iterator[Family]:
    """What a registry holds, ready to be sent; each metric is read when it is asked for."""
    return (
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple(
                ((s.name, tuple(sorted(s.labels.items()))), s.value)
                for s in metric.samples
                if not s.name.endswith("_created")
            ),
        )
        for metric in registry.collect()
    )


class MetricsBoard:
    """The sum over replicas. Plain state, no I/O: the deployment around it is in `metrics_deployment`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._present: dict[str, tuple[float, tuple[Family, ...]]] = {}
        self._gone: dict[str, Family] = {}

    def report(self, replica: str, families: tuple[Family, ...]) -> None:
        """Take a replica's latest snapshot in place of its earlier one."""
        self._present[replica] = (self._clock(), families)

    def render(self) -> bytes:
        """The sums in Prometheus' text format."""
        self._retire()
        merged = _add([*self._gone.values(), *(f for _, families in self._present.values() for f in families)])
        registry = CollectorRegistry()
        registry.register(_Fixed(merged))
        return generate_latest(registry)

    def replicas(self) -> dict[str, int]:
        """How many replicas of each kind report; a replica's name is its kind, `-`, and an id."""
        self._retire()
        return dict(Counter(replica.rpartition("-")[0] for replica in self._present))

    def _retire(self) -> None:
        for replica, (seen, families) in list(self._present.items()):
            if self._clock() - seen > SILENT_S:
                del self._present[replica]
                kept = [f for f in families if f.kind in ADDED_UP]
                self._gone = {f.name: f for f in _add([*self._gone.values(), *kept])}


def _add(families: Iterable[Family]) -> list[Family]:
    heads: dict[str, Family] = {}
    sums: dict[str, dict[Key, float]] = defaultdict(lambda: defaultdict(float))
    for family in families:
        heads.setdefault(family.name, family)
        for key, value in family.samples:
            sums[family.name][key] += value
    return [
        Family(name, head.help, head.kind, tuple(sorted(sums[name].items(), key=lambda kv: _order(kv[0]))))
        for name, head in sorted(heads.items())
    ]


def _order(key: Key) -> tuple[object, ...]:
    # A histogram's buckets stand in the order of their bounds, as a scraper expects.
    name, labels = key
    bound = dict(labels).get("le")
    others = tuple(label for label in labels if label[0] != "le")
    return (others, name, math.inf if bound in (None, "+Inf") else float(str(bound)))


class _Fixed:
    """A collector over sums that are already known."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            metric.samples = [Sample(name, dict(labels), value, None, None) for (name, labels), value in family.samples]
            yield metric
