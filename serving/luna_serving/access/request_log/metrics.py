"""What the request log counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class RequestLogMetrics:
    """Rows of one ingress replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter(
            "luna_request_log_rows_total", "Rows of the request log that Postgres has taken.", registry=registry
        )
        self.dropped = Counter(
            "luna_request_log_dropped_total",
            "Rows of the request log that were given up, because Postgres took none for too long or refused them.",
            registry=registry,
        )
        self.left_out = Counter(
            "luna_request_log_left_out_total",
            "Requests of unknown callers that were not logged, because there were too many.",
            registry=registry,
        )
        self.waiting = Gauge(
            "luna_request_log_waiting_rows",
            "Rows of the request log that wait for Postgres.",
            registry=registry,
        )
