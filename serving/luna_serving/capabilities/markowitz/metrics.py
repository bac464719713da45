"""What a replica of the capability counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from luna_serving.telemetry.metrics import SECONDS


class MarkowitzMetrics:
    """Portfolios that were computed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "luna_markowitz_seconds",
            "Time to compute a portfolio or a frontier.",
            ["objective"],
            buckets=SECONDS,
            registry=registry,
        )
        self.unsolved = Counter(
            "luna_markowitz_unsolved_total", "Feasible problems that no solver solved.", registry=registry
        )
