"""What a worker counts of its webhooks."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS: Final = (0.05, 0.25, 1.0, 5.0, 15.0, 30.0)
OUTCOMES: Final = ("delivered", "failed", "given_up", "gone")


class WebhookMetrics:
    """The metrics of the webhooks of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tries = Counter(
            "luna_jobs_webhook_tries_total",
            "Tries to deliver a message to a webhook; `failed` is tried again, `given_up` was the last try.",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "luna_jobs_webhook_seconds",
            "Seconds of a try to deliver a message to a webhook.",
            buckets=SECONDS,
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._tries.labels(outcome)

    def tried(self, outcome: str, seconds: float) -> None:
        """A try has ended."""
        self._tries.labels(outcome).inc()
        self._seconds.observe(seconds)
