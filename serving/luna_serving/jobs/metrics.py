"""What a worker counts of its loops."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# A roll-up of one second and a purge of minutes.
SECONDS: Final = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0)


class LoopMetrics:
    """The metrics of all loops of one process.

    The gauges of a loop are shown only by the process that holds its lease: the metrics board adds processes up.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._held = Gauge("luna_loop_lease_held", "Workers that hold the loop's lease.", ["loop"], registry=registry)
        self._interval = Gauge(
            "luna_loop_interval_seconds", "Seconds between two runs of the loop.", ["loop"], registry=registry
        )
        self._success = Gauge(
            "luna_loop_last_success_timestamp_seconds",
            "Unix time at which the lease's holder last ended a run without an error.",
            ["loop"],
            registry=registry,
        )
        self._seconds = Histogram(
            "luna_loop_seconds", "Duration of a run of the loop.", ["loop"], buckets=SECONDS, registry=registry
        )
        self._failures = Counter(
            "luna_loop_failures_total", "Runs of the loop that raised or took too long.", ["loop"], registry=registry
        )
        self._lost = Counter(
            "luna_loop_leases_lost_total", "Leases that ended while the loop's holder ran.", ["loop"], registry=registry
        )

    def prepare(self, loop: str) -> None:
        """Show the loop's counters from the start, as zero."""
        self._failures.labels(loop)
        self._lost.labels(loop)

    def held(self, loop: str, every_s: float) -> None:
        """Show that the process holds the loop's lease."""
        self._held.labels(loop).set(1)
        self._interval.labels(loop).set(every_s)

    def free(self, loop: str) -> None:
        """Show nothing but the counters: the process no longer holds the loop's lease."""
        for gauge in (self._held, self._interval, self._success):
            gauge.remove(loop)

    def ran(self, loop: str, seconds: float) -> None:
        """A run has ended, well or not."""
        self._seconds.labels(loop).observe(seconds)

    def succeeded(self, loop: str) -> None:
        """A run has ended without an error."""
        self._success.labels(loop).set_to_current_time()

    def failed(self, loop: str) -> None:
        """A run has raised or took too long."""
        self._failures.labels(loop).inc()

    def lost(self, loop: str) -> None:
        """The lease ended while the process held it."""
        self._lost.labels(loop).inc()
