"""Gives back units that were reserved for jobs that do not exist: the process died between the charge and the job."""

from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.ledger import holds
from luna_store.ledger.holds import Hold

# Longer than any call that creates a job may take.
GRACE: Final = timedelta(minutes=10)
_AT_ONCE: Final = 100
_ORPHANS = text("""
SELECT debit_id, account_id, owner, fence, units, route, reserved_at, until FROM holds h
WHERE owner LIKE 'job/%' AND reserved_at < now() - CAST(:grace AS interval) AND NOT EXISTS (
    SELECT FROM jobs j WHERE j.debit_id = h.debit_id AND j.status IN ('queued', 'running')
) LIMIT :at_most
""")


async def void_orphans(engine: AsyncEngine, grace: timedelta = GRACE) -> int:
    """Void the holds of jobs that were never queued; returns how many."""
    async with engine.connect() as connection:
        rows = await connection.execute(_ORPHANS, {"grace": grace, "at_most": _AT_ONCE})
        orphans = [Hold(*row) for row in rows]
    for hold in orphans:
        async with engine.begin() as connection:
            await holds.void(connection, hold)
    return len(orphans)
