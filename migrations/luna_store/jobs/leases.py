"""Heartbeats of running jobs, and what becomes of jobs whose worker is silent or stops."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.jobs.claiming import LEASE_S
from luna_store.jobs.ending import Ended, end
from luna_store.jobs.events import PROGRESS, SNAPSHOT, lock_events
from luna_store.jobs.states import JobStatus

# The loss of this many workers ends a job: it may be what kills them.
MOST_LOSSES: Final = 3
WORKER_LOST: Final[Mapping[str, Any]] = {
    "type": "worker-lost",
    "title": "The job lost its worker three times.",
    "detail": "Each attempt ended with the process that computed it. Nothing was charged. If it happens again, ask for "
    "less in one job.",
}
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker has to say about one of its jobs."""

    job_id: uuid.UUID
    fence: int
    progress: Mapping[str, Any] | None = None
    """New progress; None if it has not changed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A job that the worker still has."""

    job_id: uuid.UUID
    cancel: bool
    """Whether its caller wants it cancelled."""


_BEAT = text(f"""
WITH given AS (
    SELECT * FROM jsonb_to_recordset(CAST(:beats AS jsonb)) AS b(id uuid, fence bigint, progress jsonb)
), j AS (
    UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => :lease_s),
        progress = coalesce(b.progress, jobs.progress)
    FROM given b WHERE jobs.id = b.id AND jobs.fence = b.fence AND jobs.status = 'running' RETURNING jobs.*
), events AS (
    INSERT INTO job_events (job_id, account_id, event, data)
    SELECT j.id, j.account_id, '{PROGRESS}', {SNAPSHOT} FROM j JOIN given b ON b.id = j.id WHERE b.progress IS NOT NULL
)
SELECT id, cancel_requested_at IS NOT NULL AS cancel FROM j
""")  # noqa: S608  constants
_CHECKPOINT = text("""
UPDATE job_data SET checkpoint = :checkpoint FROM jobs j
WHERE job_id = :id AND j.id = job_id AND j.fence = :fence AND j.status = 'running'
""")


async def beat(
    engine: AsyncEngine, beats: Sequence[Beat], account_ids: Sequence[int], *, lease_s: float = LEASE_S
) -> dict[uuid.UUID, Heard]:
    """Renew the leases of a worker's jobs and store their progress; returns those that it still has.

    Args:
        engine: of the worker.
        beats: one per job.
        account_ids: the accounts of the jobs with new progress.
        lease_s: seconds from now that the leases last.
    """
    given = [
        {"id": str(each.job_id), "fence": each.fence, "progress": each.progress and dict(each.progress)}
        for each in beats
    ]
    async with engine.begin() as connection:
        if account_ids:
            await lock_events(connection, account_ids)
        rows = await connection.execute(_BEAT, {"beats": json.dumps(given), "lease_s": lease_s})
        return {row.id: Heard(row.id, row.cancel) for row in rows}


async def keep_checkpoint(engine: AsyncEngine, job_id: uuid.UUID, fence: int, checkpoint: bytes) -> None:
    """Keep where the next attempt goes on; does nothing if another attempt has the job."""
    async with engine.begin() as connection:
        await connection.execute(_CHECKPOINT, {"id": job_id, "fence": fence, "checkpoint": checkpoint})


_HAND_BACK = text(f"""
WITH j AS (
    UPDATE jobs SET status = 'queued', attempt = attempt - 1, fence = fence + 1, worker = NULL, lease_until = NULL,
        run_after = now()
    WHERE id = :id AND fence = :fence AND status = 'running' RETURNING *
), attempts AS (
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = 'handed-back'
    WHERE job_id = :id AND fence = :fence
)
INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
""")  # noqa: S608  constants


async def hand_back(engine: AsyncEngine, account_id: int, job_id: uuid.UUID, fence: int) -> None:
    """Queue a job of a worker that stops; the attempt does not count."""
    async with engine.begin() as connection:
        await lock_events(connection, [account_id])
        await connection.execute(_HAND_BACK, {"id": job_id, "fence": fence})


_LOST = text("""
SELECT id, account_id, fence, losses FROM jobs
WHERE status = 'running' AND lease_until < clock_timestamp() ORDER BY lease_until LIMIT :at_most
""")
_REQUEUE = text(f"""
WITH j AS (
    UPDATE jobs SET status = 'queued', fence = fence + 1, losses = losses + 1, worker = NULL, lease_until = NULL,
        run_after = now()
    WHERE id = :id AND fence = :fence AND status = 'running' AND lease_until < clock_timestamp() RETURNING *
), attempts AS (
    UPDATE job_attempts a SET ended_at = clock_timestamp(), outcome = 'worker-lost'
    FROM j WHERE a.job_id = :id AND a.fence = :fence
)
INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
""")  # noqa: S608  constants
_TAKE = text("""
UPDATE jobs SET losses = losses + 1, lease_until = clock_timestamp() + interval '10 seconds', fence = fence + 1
WHERE id = :id AND fence = :fence AND status = 'running' AND lease_until < clock_timestamp() RETURNING fence
""")


async def requeue_lost(engine: AsyncEngine) -> int:
    """Queue jobs whose lease has ended; the third loss fails a job. Safe with several callers at once.

    Returns:
        How many leases had ended.
    """
    async with engine.connect() as connection:
        lost = (await connection.execute(_LOST, {"at_most": _AT_ONCE})).all()
    for row in lost:
        values = {"id": row.id, "fence": row.fence}
        if row.losses + 1 < MOST_LOSSES:
            async with engine.begin() as connection:
                await lock_events(connection, [row.account_id])
                await connection.execute(_REQUEUE, values)
            continue
        async with engine.begin() as connection:
            fence = await connection.scalar(_TAKE, values)
        if fence is not None:
            failed = Ended(row.id, row.account_id, fence, JobStatus.FAILED, 0, dict(WORKER_LOST), outcome="worker-lost")
            await end(engine, [failed])
    return len(lost)
