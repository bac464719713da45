"""How many jobs could run now if there were workers enough: what the workers' deployment scales by."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store import limits
from luna_store.jobs.claiming import CONCURRENT

# An account's jobs count up to its limit of jobs at once: no worker could take more of them.
_DEMAND = text("""
SELECT coalesce(sum(least(live, coalesce(CAST(a.limits ->> :concurrent AS int), :concurrent_default))), 0)
FROM (
    SELECT account_id, count(*) AS live FROM jobs
    WHERE status = 'running' OR (status = 'queued' AND run_after <= now()) GROUP BY account_id
) AS j JOIN accounts a ON a.id = j.account_id
WHERE a.state = 'active' AND (a.expires_at IS NULL OR a.expires_at > now())
""")


async def demand(engine: AsyncEngine) -> int:
    """Jobs that run, and those that wait and may run now."""
    values = {"concurrent": CONCURRENT, "concurrent_default": limits.in_force({})[CONCURRENT]}
    async with engine.connect() as connection:
        return int(await connection.scalar(_DEMAND, values) or 0)
