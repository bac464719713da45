"""What a replica of the Kalman capability counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from luna_serving.telemetry.metrics import SECONDS


class KalmanMetrics:
    """Batches that were computed, without fits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "luna_kalman_seconds", "Time to filter a batch of calls.", buckets=SECONDS, registry=registry
        )
        self.points = Counter("luna_kalman_points_total", "Observations that were filtered.", registry=registry)
