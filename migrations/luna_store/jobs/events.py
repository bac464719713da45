"""Events of jobs: written with the change that they tell of, read in order by those who watch."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

PROGRESS: Final = "progress"

# First key of the advisory locks: "jobs" in ASCII.
_LOCK_CLASS: Final = 0x6A6F6273

# The members of a job that an event keeps, as SQL over a row `j` of `jobs`.
SNAPSHOT: Final = """jsonb_build_object(
    'status', j.status, 'progress', j.progress, 'attempt', j.attempt, 'started_at', j.started_at,
    'finished_at', j.finished_at, 'units_used', j.units_used, 'error', j.error
)"""

_LOCK = text("""
SELECT pg_advisory_xact_lock(:lock_class, account_id)
FROM (SELECT DISTINCT unnest(CAST(:account_ids AS int[])) AS account_id ORDER BY 1) AS accounts
""")


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a job."""

    id: int
    """Increases over the events of an account."""
    job_id: uuid.UUID
    event: str
    """A status, or `progress`."""
    data: dict[str, Any]
    at: datetime


async def lock_events(connection: AsyncConnection, account_ids: Iterable[int]) -> None:
    """Let no other transaction write events of these accounts until this one ends.

    Ids come from a sequence, which knows no commits: without the lock a reader could see event 8 before event 7, and
    never ask for 7 again.
    """
    await connection.execute(_LOCK, {"lock_class": _LOCK_CLASS, "account_ids": sorted(set(account_ids))})


async def events_after(
    engine: AsyncEngine, account_id: int, after: int, *, job_id: uuid.UUID | None = None, at_most: int = 100
) -> Sequence[Event]:
    """Events of an account, or of one of its jobs, with ids above `after`, oldest first."""
    of_job = "AND job_id = :job_id" if job_id is not None else ""
    query = text(f"""
        SELECT id, job_id, event, data, at FROM job_events
        WHERE account_id = :account_id AND id > :after {of_job} ORDER BY id LIMIT :at_most
    """)  # noqa: S608  constants
    values = {"account_id": account_id, "after": after, "at_most": at_most, "job_id": job_id}
    if job_id is None:
        del values["job_id"]
    async with engine.connect() as connection:
        return [Event(*row) for row in await connection.execute(query, values)]


async def last_event(engine: AsyncEngine, account_id: int) -> int:
    """The id of the account's newest event; 0 without one."""
    query = text("SELECT coalesce(max(id), 0) FROM job_events WHERE account_id = :account_id")
    async with engine.connect() as connection:
        return int(await connection.scalar(query, {"account_id": account_id}) or 0)


_NEWEST = text("""
SELECT a.account_id, (SELECT max(e.id) FROM job_events e WHERE e.account_id = a.account_id) AS newest
FROM unnest(CAST(:account_ids AS int[])) AS a(account_id)
""")


async def newest_events(engine: AsyncEngine, account_ids: Sequence[int]) -> dict[int, int]:
    """The ids of the newest events of accounts; those without events are left out."""
    async with engine.connect() as connection:
        rows = await connection.execute(_NEWEST, {"account_ids": list(account_ids)})
        return {row.account_id: row.newest for row in rows if row.newest is not None}
