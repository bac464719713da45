"""The loops of the queue itself: retention of jobs, and gauges of what waits."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge

from luna_serving.jobs import sweeping
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_serving.objects.errors import StoreGone
from luna_store.jobs.claiming import backlog
from luna_store.jobs.orphans import void_orphans
from luna_store.jobs.retention import delete_expired, delete_idle_lanes, expired
from luna_store.jobs.webhooks import OUTBOX
from luna_store.platform.leases import Lease, fenced

RETENTION_S = 3600.0
BACKLOG_S = 5.0
ORPHANS_S = 30.0
# Jobs in one transaction; their data goes with them.
AT_ONCE = 200


class BacklogMetrics:
    """Gauges of the queue. Only the worker that holds the loop's lease sets them: the board adds processes up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queued = Gauge("luna_jobs_queued", "Jobs that wait in the queue.", registry=registry)
        self._oldest = Gauge(
            "luna_jobs_oldest_queued_seconds", "Seconds that the oldest job in the queue has waited.", registry=registry
        )
        self._webhooks = Gauge(
            "luna_jobs_webhooks_waiting", "Messages to webhooks that are still to be delivered.", registry=registry
        )

    def shown(self, queued: int, oldest_s: float, webhooks: int) -> None:
        """Set all."""
        self._queued.set(queued)
        self._oldest.set(oldest_s)
        self._webhooks.set(webhooks)

    def released(self) -> None:
        """Show nothing: another worker does."""
        self.shown(0, 0.0, 0)


def housekeeping(metrics: BacklogMetrics) -> tuple[Loop[Background], ...]:
    """The loops."""

    async def show(stores: Background, _: Lease) -> None:
        found = await backlog(stores.engine)
        metrics.shown(found.queued, found.oldest_s, await OUTBOX.waiting(stores.engine))

    return (
        Loop("jobs.backlog", BACKLOG_S, show, timeout_s=30.0, released=metrics.released),
        Loop("jobs.retention", RETENTION_S, remove_expired, timeout_s=3600.0),
        Loop("jobs.orphans", ORPHANS_S, give_back),
        Loop("jobs.sweep", sweeping.EVERY_S, sweeping.sweep_orphans, timeout_s=sweeping.TIMEOUT_S),
    )


async def give_back(stores: Background, _: Lease) -> None:
    """Give back units that were reserved for jobs that were never queued."""
    await void_orphans(stores.engine)


async def remove_expired(stores: Background, lease: Lease) -> None:
    """Delete jobs at the end of their retention, their objects first: a row is the only place that names them.

    Raises:
        StoreGone: objects could not be deleted; their jobs stay until the next run.
    """
    while True:
        async with stores.engine.connect() as connection:
            found = await expired(connection, AT_ONCE)
        if found.keys:
            await _delete_objects(stores, found.keys)
        async with fenced(stores.engine, lease) as connection:
            await delete_expired(connection, found.ids)
            if len(found.ids) < AT_ONCE:
                await delete_idle_lanes(connection)
                return


async def _delete_objects(stores: Background, keys: Sequence[str]) -> None:
    if stores.objects is None:
        raise StoreGone(f"{len(keys)} results and artifacts are in an object store: set S3_ENDPOINT.")
    await stores.objects.delete_many(keys)
