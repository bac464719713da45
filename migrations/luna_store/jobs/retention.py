"""Deletes jobs at the end of their retention, and lanes that nobody needs."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_KEYS = """
SELECT a.object_key FROM job_artifacts a JOIN jobs j ON j.id = a.job_id
WHERE j.expires_at <= now() AND j.status NOT IN ('queued', 'running') AND a.object_key IS NOT NULL LIMIT :at_most
"""
_DELETE = """
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE expires_at <= now() AND status NOT IN ('queued', 'running')
    ORDER BY expires_at LIMIT :at_most FOR UPDATE SKIP LOCKED
)
"""
_LANES = """
DELETE FROM job_lanes l WHERE NOT EXISTS (
    SELECT FROM jobs j WHERE j.account_id = l.account_id AND j.status IN ('queued', 'running')
)
"""


async def expired_objects(connection: AsyncConnection, at_most: int) -> Sequence[str]:
    """Keys in the object store of artifacts whose jobs have expired; delete the objects before the jobs."""
    return list(await connection.scalars(text(_KEYS), {"at_most": at_most}))


async def delete_expired(connection: AsyncConnection, at_most: int) -> int:
    """Delete ended jobs that are kept no longer; returns how many."""
    return (await connection.execute(text(_DELETE), {"at_most": at_most})).rowcount


async def delete_idle_lanes(connection: AsyncConnection) -> int:
    """Delete the lanes of accounts without live jobs; their next job makes a new one."""
    return (await connection.execute(text(_LANES))).rowcount
