"""Retention of the audit log."""

from datetime import UTC, datetime, timedelta

from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_store.audit.retention import drop_before, make_partitions
from luna_store.platform.leases import Lease, fenced

EVERY_S = 24 * 3600.0


def audit_retention(retention_days: int) -> Loop[Background]:
    """The loop that makes the log's monthly partitions and drops those that are old.

    Args:
        retention_days: days that an entry is kept at least; a month goes when its last entry is that old.
    """

    async def run(stores: Background, lease: Lease) -> None:
        now = datetime.now(UTC)
        # Two transactions: where one cannot get its locks, the other is done.
        async with fenced(stores.engine, lease) as connection:
            await make_partitions(connection, now)
        async with fenced(stores.engine, lease) as connection:
            await drop_before(connection, now - timedelta(days=retention_days))

    return Loop("account.audit", EVERY_S, run)
