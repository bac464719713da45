"""What the throttle counts."""

from prometheus_client import CollectorRegistry, Counter

from luna_serving.telemetry.metrics import Bound


class ThrottleMetrics:
    """Attempts and refusals, by kind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Bound(
            Counter(
                "luna_attempts_total",
                "Attempts to authenticate that were begun, and of these succeeded; of keys and tokens only failures.",
                ["kind", "outcome"],
                registry=registry,
            )
        )
        self.throttled = Bound(
            Counter(
                "luna_throttled_total",
                "Attempts that were refused with 429 because too many had failed, by kind.",
                ["kind"],
                registry=registry,
            )
        )
