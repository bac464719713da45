"""What this room counts."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LAG_BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class LiveMetrics:
    """Of an ingress replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge(
            "luna_live_connections", "Open connections for live updates.", ["transport"], registry=registry
        )
        self.messages = Counter(
            "luna_live_messages",
            "Messages sent to clients for live updates.",
            ["type"],
            registry=registry,
        )
        self.bytes = Counter(
            "luna_live_bytes", "Bytes of the messages sent to clients for live updates.", registry=registry
        )
        self.lag = Histogram(
            "luna_live_lag_seconds",
            "Seconds from the publication of changed series to their arrival in an ingress replica.",
            registry=registry,
            buckets=LAG_BUCKETS,
        )
        self.closed = Counter(
            "luna_live_closed",
            "Connections for live updates that Luna closed.",
            ["reason"],
            registry=registry,
        )
        self.polling = Gauge(
            "luna_live_polling",
            "Ingress replicas that poll present values because they hear nothing from Redis.",
            registry=registry,
        )
        self.refreshes = Counter(
            "luna_live_refreshes",
            "Reads of present values for live updates.",
            ["why"],
            registry=registry,
        )


class PublishingMetrics:
    """Of a process that publishes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.series = Counter("luna_live_published_series", "Changed series that were published.", registry=registry)
        self.failures = Counter(
            "luna_live_publish_failures",
            "Publications that Redis did not take; subscribers read present values instead.",
            registry=registry,
        )
