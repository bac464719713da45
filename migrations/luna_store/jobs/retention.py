"""Deletes jobs at the end of their retention, and lanes that nobody needs."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_EXPIRED = text("""
SELECT j.id, array_remove(array_agg(a.object_key), NULL) AS keys FROM (
    SELECT id FROM jobs WHERE expires_at <= now() AND status NOT IN ('queued', 'running')
    ORDER BY expires_at LIMIT :at_most
) AS j LEFT JOIN job_artifacts a ON a.job_id = j.id GROUP BY j.id
""")
# One that was retried meanwhile is live, or expires later.
_DELETE = text("""
DELETE FROM jobs WHERE id = ANY(:ids) AND expires_at <= now() AND status NOT IN ('queued', 'running')
""")
_LANES = """
DELETE FROM job_lanes l WHERE NOT EXISTS (
    SELECT FROM jobs j WHERE j.account_id = l.account_id AND j.status IN ('queued', 'running')
)
"""


@dataclass(frozen=True, slots=True)
class Expired:
    """Jobs that are kept no longer."""

    ids: Sequence[uuid.UUID]
    keys: Sequence[str]
    """Of their artifacts in the object store; delete the objects before the jobs."""


async def expired(connection: AsyncConnection, at_most: int) -> Expired:
    """The jobs whose retention ended first."""
    rows = (await connection.execute(_EXPIRED, {"at_most": at_most})).all()
    return Expired([row.id for row in rows], [key for row in rows for key in row.keys])


async def delete_expired(connection: AsyncConnection, ids: Sequence[uuid.UUID]) -> int:
    """Delete such jobs with their data; returns how many."""
    return (await connection.execute(_DELETE, {"ids": list(ids)})).rowcount


async def delete_idle_lanes(connection: AsyncConnection) -> int:
    """Delete the lanes of accounts without live jobs; their next job makes a new one."""
    return (await connection.execute(text(_LANES))).rowcount
