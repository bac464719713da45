"""Periodic work: ends sets that nobody finishes, compares objects with rows, reads the gauges."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text

from luna_serving.capabilities.datasets.library.states import error_of
from luna_serving.capabilities.datasets.metrics import SetGauges
from luna_serving.capabilities.datasets.settings import DatasetsSettings
from luna_serving.capabilities.datasets.store import removing, validating
from luna_serving.capabilities.datasets.store.records import SetRecord
from luna_serving.capabilities.datasets.store.sweeping import LostObjects, forget_lost, named
from luna_serving.capabilities.datasets.uploads.keys import incoming_of
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.keys import account_prefix
from luna_serving.objects.sweeping import SweepReport, sweep
from luna_serving.telemetry.read_gauges import Once
from luna_store.jobs.reading import find as find_job
from luna_store.platform.leases import Lease, fenced

ALL: Final = "accounts/"
STATES_S: Final = 5.0
HOUR_S: Final = 3600.0
# Days that the row of an expired set tells what became of it.
EXPIRED_KEPT: Final = timedelta(days=7)
_ENDED: Final = text("""
SELECT d.id, d.account_id, d.job_id FROM datasets d LEFT JOIN jobs j ON j.id = d.job_id
WHERE d.state = 'validating' AND (j.id IS NULL OR j.status NOT IN ('queued', 'running')) LIMIT 100
""")
_GAUGES: Final = text("""
SELECT
    (SELECT count(*) FROM datasets d JOIN jobs j ON j.id = d.job_id
        WHERE d.state = 'validating' AND j.status = 'queued') AS queue,
    (SELECT count(*) FROM datasets d
        WHERE d.state = 'uploading' AND d.active_at > now() - interval '15 minutes') AS uploads
""")


def loops(settings: DatasetsSettings) -> tuple[Loop[Background], ...]:
    """The capability's loops."""
    idle, kept = timedelta(hours=settings.unfinished_hours), timedelta(hours=settings.invalid_hours)
    gauges = Once(SetGauges)
    grace = timedelta(seconds=settings.sweep_grace_s)

    async def states(stores: Background, lease: Lease) -> None:
        await _fail_ended(stores, lease)
        async with stores.engine.connect() as connection:
            row = (await connection.execute(_GAUGES)).one()
        gauges(stores.registry).read(queue=row.queue, uploads=row.uploads)

    async def expire(stores: Background, lease: Lease) -> None:
        if stores.objects is None:
            return
        for record in await removing.stale(stores.engine, idle):
            # Files that arrived since the last call are activity, too.
            if not await _arrived(stores.objects, record, datetime.now(UTC) - idle):
                async with fenced(stores.engine, lease) as connection:
                    garbage = await removing.expire(connection, record, idle)
                await stores.objects.delete_many(garbage)
            else:
                await validating.touch(stores.engine, record.id)
        for record in await removing.old_invalid(stores.engine, kept):
            async with fenced(stores.engine, lease) as connection:
                garbage = await removing.free_files(connection, record)
            await stores.objects.delete_many(garbage)
        async with fenced(stores.engine, lease) as connection:
            await removing.delete_expired(connection, EXPIRED_KEPT)

    async def compare(stores: Background, lease: Lease) -> None:
        if stores.objects is not None:
            await swept(stores, stores.objects, lease, grace)

    return (
        Loop("datasets.states", STATES_S, states),
        Loop("datasets.expire", settings.sweep_s, expire, timeout_s=HOUR_S),
        Loop("datasets.sweep", settings.sweep_s, compare, timeout_s=HOUR_S),
    )


async def swept(
    stores: Background, store: ObjectStore, lease: Lease, grace: timedelta, prefix: str = ALL
) -> SweepReport:
    """Delete objects below a prefix that no row names, and rows whose object is gone."""
    before = datetime.now(UTC) - grace
    lost = LostObjects(stores.engine, before)

    async def known(keys: Sequence[str]) -> Collection[str]:
        await lost.passed(keys)
        return await named(stores.engine, keys)

    report = await sweep(store, prefix, known, before=before)
    if keys := await lost.ended():
        async with fenced(stores.engine, lease) as connection:
            await forget_lost(connection, keys)
    return report


async def _fail_ended(stores: Background, lease: Lease) -> None:
    """Let sets fail whose job has ended without a verdict."""
    async with stores.engine.connect() as connection:
        rows = (await connection.execute(_ENDED)).all()
    for row in rows:
        detail = await find_job(stores.engine, row.account_id, row.job_id, inline_bytes=0)
        async with fenced(stores.engine, lease) as connection:
            await validating.fail(connection, row.id, row.job_id, error_of(detail.job if detail else None))


async def _arrived(store: ObjectStore, record: SetRecord, since: datetime) -> bool:
    async for listed in store.list(incoming_of(record.account_id, record.id)):
        if listed.modified >= since:
            return True
    return False


async def forget(stores: Background, account_id: int) -> None:
    """Delete all objects of an account that was deleted; its rows have gone with it."""
    store = stores.objects
    if store is None:
        return
    prefix = account_prefix(account_id)
    await store.delete_many([listed.key async for listed in store.list(prefix)])
    async for upload in store.multipart.uploads(prefix):
        await store.multipart.abort(upload.key, upload.upload_id)
