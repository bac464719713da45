"""What a worker counts of rules and notifications."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from luna_serving.telemetry.read_gauges import ReadGauges

SECONDS: Final = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0)
EVALUATED: Final = ("ok", "error", "dropped")
SENT: Final = ("delivered", "failed", "given_up", "gone")


class AlertMetrics:
    """The metrics of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._evaluations = Counter(
            "luna_alerts_evaluations_total",
            "Evaluations of rules; `dropped` was overtaken by a change of the rule.",
            ["outcome"],
            registry=registry,
        )
        self._missed = Counter(
            "luna_alerts_evaluations_missed_total",
            "Evaluations that were not made, because the ones before were late.",
            registry=registry,
        )
        self._lateness = Histogram(
            "luna_alerts_lateness_seconds",
            "Seconds from the time of an evaluation to its commit.",
            buckets=SECONDS,
            registry=registry,
        )
        self._changes = Counter(
            "luna_alerts_changes_total", "Changes of alerts, by the new state.", ["state"], registry=registry
        )
        self._tries = Counter(
            "luna_alerts_notifications_total",
            "Tries to send a message; `failed` is tried again, `given_up` was the last try.",
            ["receiver", "outcome"],
            registry=registry,
        )
        self._dropped = Counter(
            "luna_alerts_notifications_dropped_total",
            "Messages that were dropped unsent, because too many of their rule waited for its receiver.",
            registry=registry,
        )
        self.gauges = ReadGauges(
            {
                "luna_alerts_rules": "Rules of all accounts.",
                "luna_alerts_rules_overdue": "Rules whose evaluation is due and not made.",
                "luna_alerts_overdue_seconds": "Seconds by which the most overdue rule is late.",
                "luna_alerts_notifications_waiting": "Messages to webhooks that are still to be delivered.",
            }
        )
        registry.register(self.gauges)
        for outcome in EVALUATED:
            self._evaluations.labels(outcome)
        for state in ("pending", "firing", "resolved", "inactive"):
            self._changes.labels(state)
        for receiver in ("webhook", "alertmanager"):
            for outcome in SENT:
                self._tries.labels(receiver, outcome)

    def evaluated(self, outcome: str, count: int = 1) -> None:
        """Evaluations have ended."""
        self._evaluations.labels(outcome).inc(count)

    def missed(self, count: int) -> None:
        """Evaluations are left out."""
        self._missed.inc(count)

    def committed(self, late_s: float) -> None:
        """An evaluation is committed."""
        self._lateness.observe(max(0.0, late_s))

    def changed(self, state: str) -> None:
        """An alert has changed."""
        self._changes.labels(state).inc()

    def sent(self, receiver: str, outcome: str) -> None:
        """A try has ended."""
        self._tries.labels(receiver, outcome).inc()

    def unsent(self, count: int) -> None:
        """Messages were dropped."""
        self._dropped.inc(count)
