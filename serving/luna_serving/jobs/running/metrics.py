"""What a worker counts of its jobs."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from luna_store.jobs.claiming import ClaimedJob
from luna_store.jobs.ending import Ended

# From trivial work to hours.
SECONDS: Final = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)


class JobMetrics:
    """The metrics of the jobs of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = Gauge("luna_jobs_running", "Jobs that run now.", ["kind"], registry=registry)
        self._ended = Counter(
            "luna_jobs_attempts_total",
            "Attempts at jobs that ended, by the job's status; `queued` is tried again.",
            ["kind", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "luna_jobs_attempt_seconds",
            "Duration of an attempt at a job.",
            ["kind"],
            buckets=SECONDS,
            registry=registry,
        )
        self._lost = Counter(
            "luna_jobs_leases_lost_total",
            "Jobs whose lease ended while a worker ran them.",
            ["kind"],
            registry=registry,
        )

    def began(self, job: ClaimedJob) -> None:
        """An attempt has begun."""
        self._running.labels(job.kind).inc()
        self._lost.labels(job.kind)

    def ended(self, job: ClaimedJob, ended: Ended, seconds: float, *, committed: bool) -> None:
        """An attempt has ended; it counts only if it was committed."""
        self._running.labels(job.kind).dec()
        self._seconds.labels(job.kind).observe(seconds)
        if committed:
            self._ended.labels(job.kind, ended.status.value).inc()

    def lost(self, job: ClaimedJob) -> None:
        """A worker lost the job."""
        self._running.labels(job.kind).dec()
        self._lost.labels(job.kind).inc()
