"""Queues jobs that succeeded again for more of the same work, from where they ended."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.jobs.creating import (
    ACCOUNT,
    LANE,
    LONGEST,
    QUEUED,
    JobDataGone,
    JobIsLive,
    JobMissing,
    QueueFull,
)
from luna_store.jobs.events import SNAPSHOT, lock_events
from luna_store.jobs.states import JobStatus
from luna_store.quota.debits import Debit


class JobNotExtendable(Exception):
    """The job did not succeed, so it has nothing to go on from."""


@dataclass(frozen=True, slots=True)
class Extendable:
    """A job that can go on."""

    kind: str
    parameters: bytes
    result: bytes
    finished_at: datetime
    """Tells this end of the job from a later one."""


@dataclass(frozen=True, slots=True)
class Extended:
    """What a job goes on with."""

    parameters: bytes
    """JSON, complete, of the whole work."""
    total: int
    """Steps of its progress."""
    manifest: Mapping[str, Any]
    """Members to replace."""
    state: str
    """The artifact that becomes the checkpoint of the next attempt."""


_FIND: Final = text("""
    SELECT j.kind, j.status, j.finished_at, d.parameters, d.result
    FROM jobs j LEFT JOIN job_data d ON d.job_id = j.id
    WHERE j.id = :id AND j.account_id = :account_id
""")
# The result and the artifacts stay until others replace them: a job that is cancelled again keeps what it had.
_EXTEND: Final = text(f"""
WITH j AS (
    UPDATE jobs SET status = 'queued', debit_id = :debit_id, units_reserved = :units, units_used = 0, error = NULL,
        progress = progress || jsonb_build_object('total', CAST(:total AS int)),
        manifest = manifest || CAST(:manifest AS jsonb), attempt = attempt + 1, fence = fence + 1,
        failures = 0, losses = 0, cancel_requested_at = NULL, queued_at = now(),
        run_after = now(), started_at = NULL, finished_at = NULL,
        deadline = now() + CAST(:longest AS interval), expires_at = now() + CAST(:kept AS interval)
    WHERE id = :id AND status = 'succeeded' AND finished_at = :finished_at
        AND EXISTS (SELECT FROM job_artifacts a WHERE a.job_id = jobs.id AND a.name = :state AND a.body IS NOT NULL)
    RETURNING *
), data AS (
    UPDATE job_data d SET parameters = :parameters, checkpoint = a.body
    FROM j JOIN job_artifacts a ON a.job_id = j.id AND a.name = :state WHERE d.job_id = j.id
)
INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
""")  # noqa: S608  constants


async def find_extendable(connection: AsyncConnection, account_id: int, job_id: uuid.UUID) -> Extendable:
    """A job that may go on.

    Raises:
        JobMissing, JobIsLive, JobNotExtendable, JobDataGone: it may not.
    """
    row = (await connection.execute(_FIND, {"id": job_id, "account_id": account_id})).one_or_none()
    if row is None:
        raise JobMissing
    status = JobStatus(row.status)
    if status.live:
        raise JobIsLive
    if status is not JobStatus.SUCCEEDED:
        raise JobNotExtendable
    if row.parameters is None or row.result is None:
        raise JobDataGone
    return Extendable(row.kind, row.parameters, row.result, row.finished_at)


async def extend(
    connection: AsyncConnection,
    job_id: uuid.UUID,
    found: Extendable,
    extended: Extended,
    debit: Debit,
    *,
    most_queued: int,
    kept: timedelta,
) -> None:
    """Queue a job again, under a charge for the addition that was taken.

    Raises:
        QueueFull: nothing is changed.
        JobIsLive: another call has queued it; or its state was deleted meanwhile.
    """
    await connection.execute(ACCOUNT, {"account_id": debit.account_id})
    await connection.execute(LANE, {"account_id": debit.account_id})
    await lock_events(connection, [debit.account_id])
    if (await connection.scalar(QUEUED, {"account_id": debit.account_id}) or 0) >= most_queued:
        raise QueueFull(most_queued)
    values = {
        "id": job_id,
        "finished_at": found.finished_at,
        "debit_id": debit.debit_id,
        "units": debit.units,
        "total": extended.total,
        "manifest": json.dumps(dict(extended.manifest)),
        "state": extended.state,
        "parameters": extended.parameters,
        "longest": LONGEST,
        "kept": kept,
    }
    if not (await connection.execute(_EXTEND, values)).rowcount:
        raise JobIsLive
