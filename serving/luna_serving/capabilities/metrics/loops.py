"""Periodic work on the workers: partitions of chunks."""

from datetime import UTC, datetime
from typing import Final

from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.account import DEFAULT_RETENTION_DAYS
from luna_serving.capabilities.metrics.store import retention
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_serving.settings import PlatformSettings
from luna_store.platform.leases import Lease, fenced

EVERY_S: Final = 3_600.0


def loops(_platform: PlatformSettings, _settings: MetricsSettings) -> tuple[Loop[Background], ...]:
    """The loops of the capability."""
    return (Loop("metrics.partitions", EVERY_S, partitions, timeout_s=600.0),)


async def partitions(stores: Background, lease: Lease) -> None:
    """Make the partitions of the next week, and drop those that no account keeps any more."""
    today = datetime.now(UTC).date()
    async with fenced(stores.engine, lease) as connection:
        await retention.make_days(connection, today)
    async with stores.engine.connect() as connection:
        old = await retention.old_partitions(connection, today, DEFAULT_RETENTION_DAYS)
    for partition in old:
        async with fenced(stores.engine, lease) as connection:
            await retention.drop(connection, partition)
