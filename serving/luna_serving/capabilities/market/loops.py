"""Periodic work: removes old versions, imports that never ended, and objects that no version names."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from luna_serving.capabilities.market.metrics import MarketGauges
from luna_serving.capabilities.market.settings import MarketSettings
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_serving.objects.sweeping import sweep
from luna_serving.prices.announced import KEY, PREFIX
from luna_serving.telemetry.read_gauges import Once
from luna_store.platform.leases import Lease, fenced
from luna_store.prices import retention

GAUGES_S: Final = 10.0
HOUR_S: Final = 3600.0


def loops(settings: MarketSettings) -> tuple[Loop[Background], ...]:
    """The capability's loops."""
    kept, idle = timedelta(days=settings.versions_days), timedelta(hours=settings.unfinished_hours)
    grace = timedelta(seconds=settings.sweep_grace_s)
    gauges = Once(MarketGauges)

    async def state(stores: Background, lease: Lease) -> None:
        del lease  # it only reads
        gauges(stores.registry).read(await retention.state(stores.engine))

    async def retain(stores: Background, lease: Lease) -> None:
        store = stores.objects
        if store is None:
            return
        async with fenced(stores.engine, lease) as connection:
            garbage = await retention.prune(connection, kept) + await retention.remove_unfinished(connection, idle)
        await store.delete_many(garbage)

        async def known(keys: Sequence[str]) -> Collection[str]:
            return {KEY, *await retention.named(stores.engine, keys)}

        report = await sweep(store, PREFIX, known, before=datetime.now(UTC) - grace)
        gauges(stores.registry).swept(report.deleted + len(garbage))

    return (
        Loop("market.state", GAUGES_S, state),
        Loop("market.retention", settings.sweep_s, retain, timeout_s=HOUR_S),
    )
