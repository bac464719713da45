"""What a replica of the Black-Scholes capability counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from luna_serving.telemetry.metrics import SECONDS


class BlackScholesMetrics:
    """Calls that were computed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "luna_blackscholes_seconds", "Time to compute a call.", buckets=SECONDS, registry=registry
        )
        self.rows = Counter(
            "luna_blackscholes_rows_total", "Options that were evaluated.", ["style"], registry=registry
        )
        self.codes = Counter(
            "luna_blackscholes_codes_total",
            "Options without a whole answer.",
            ["code"],
            registry=registry,
        )
