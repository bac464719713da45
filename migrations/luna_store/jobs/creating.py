"""Creates jobs, and queues those that ended without success again."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.jobs.events import SNAPSHOT, lock_events
from luna_store.jobs.states import RETRIABLE, JobStatus
from luna_store.quota.debits import Debit

# A job ends by then, so that its charge never outlives the longest hold (`ledger.holds.LONGEST`).
LONGEST: Final = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to create."""

    id: uuid.UUID
    kind: str
    parameters: bytes
    """JSON, complete."""
    debit: Debit
    """Its charge, which a hold of the owner `owner_of(id)` names."""
    principal: str
    progress: Mapping[str, Any]
    """`completed`, `total`, `unit`."""
    priority: int = 0
    deadline: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    webhook_url: str | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)


class QueueFull(Exception):
    """The account has as many jobs waiting as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The account has {most} jobs in its queue.")
        self.most = most


class JobIsLive(Exception):
    """The job is queued or running."""


class JobHasSucceeded(Exception):
    """The job has its result; there is nothing to do again."""


class JobMissing(Exception):
    """The account has no such job."""


class JobDataGone(Exception):
    """The job's parameters or result were deleted."""


def owner_of(job_id: uuid.UUID) -> str:
    """The owner of a job's hold."""
    return f"job/{job_id}"


# First, as everywhere: the foreign key of the new row locks it in any case.
ACCOUNT = text("SELECT FROM accounts WHERE id = :account_id FOR KEY SHARE")
LANE = text("""
INSERT INTO job_lanes (account_id, pass)
SELECT :account_id, coalesce((
    SELECT min(l.pass) FROM job_lanes l WHERE EXISTS (
        SELECT FROM jobs j WHERE j.account_id = l.account_id AND j.status = 'queued'
    )
), (SELECT max(l.pass) FROM job_lanes l), 0)
ON CONFLICT (account_id) DO UPDATE SET pass = greatest(job_lanes.pass, excluded.pass)
WHERE NOT EXISTS (
    SELECT FROM jobs j WHERE j.account_id = excluded.account_id AND j.status IN ('queued', 'running')
)
""")
QUEUED = text("SELECT count(*) FROM jobs WHERE account_id = :account_id AND status = 'queued'")
_INSERT = text(f"""
WITH j AS (
    INSERT INTO jobs (
        id, account_id, kind, priority, labels, progress, manifest, debit_id, units_reserved, route, principal,
        deadline, expires_at, webhook_url
    ) VALUES (
        :id, :account_id, :kind, :priority, CAST(:labels AS jsonb), CAST(:progress AS jsonb), CAST(:manifest AS jsonb),
        :debit_id, :units, :route, :principal,
        LEAST(:deadline, now() + CAST(:longest AS interval)), now() + CAST(:kept AS interval), :webhook_url
    ) RETURNING *
), data AS (
    INSERT INTO job_data (job_id, parameters) SELECT id, :parameters FROM j
)
INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
""").bindparams(bindparam("deadline", type_=DateTime(timezone=True)))  # noqa: S608  constants


async def create(connection: AsyncConnection, job: NewJob, *, most_queued: int, kept: timedelta) -> None:
    """Queue a job whose charge was taken.

    Args:
        connection: of the caller's transaction.
        job: the job.
        most_queued: how many jobs of the account may wait, this one among them.
        kept: from now until it is deleted.

    Raises:
        QueueFull: nothing is changed.
        IntegrityError: the account is gone.
    """
    account_id = job.debit.account_id
    await connection.execute(ACCOUNT, {"account_id": account_id})
    await connection.execute(LANE, {"account_id": account_id})
    await lock_events(connection, [account_id])
    if (await connection.scalar(QUEUED, {"account_id": account_id}) or 0) >= most_queued:
        raise QueueFull(most_queued)
    await connection.execute(
        _INSERT,
        {
            "id": job.id,
            "account_id": account_id,
            "kind": job.kind,
            "priority": job.priority,
            "labels": json.dumps(dict(job.labels)),
            "progress": json.dumps(dict(job.progress)),
            "manifest": json.dumps(dict(job.manifest)),
            "debit_id": job.debit.debit_id,
            "units": job.debit.units,
            "route": job.debit.route,
            "principal": job.principal,
            "deadline": job.deadline,
            "longest": LONGEST,
            "kept": kept,
            "webhook_url": job.webhook_url,
            "parameters": job.parameters,
        },
    )


_AGAIN = text(f"""
WITH j AS (
    UPDATE jobs SET status = 'queued', debit_id = :debit_id, units_reserved = :units, units_used = 0, error = NULL,
        progress = (progress || '{{"completed": 0}}'::jsonb) - 'estimate', attempt = attempt + 1, fence = fence + 1,
        failures = 0, losses = 0, cancel_requested_at = NULL, queued_at = now(),
        run_after = now(), started_at = NULL, finished_at = NULL,
        deadline = now() + CAST(:longest AS interval), expires_at = now() + CAST(:kept AS interval)
    WHERE id = :id AND status IN ('failed', 'cancelled') RETURNING *
), data AS (
    UPDATE job_data SET result = NULL, checkpoint = NULL FROM j WHERE job_id = j.id
), artifacts AS (
    DELETE FROM job_artifacts a USING j WHERE a.job_id = j.id
)
INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
""")  # noqa: S608  constants


async def check_retriable(connection: AsyncConnection, account_id: int, job_id: uuid.UUID) -> tuple[str, int, bytes]:
    """The kind, units and parameters of a job that may be done again.

    Raises:
        JobMissing, JobIsLive, JobHasSucceeded, JobDataGone: it may not.
    """
    query = text("""
        SELECT j.kind, j.units_reserved, j.status, d.parameters FROM jobs j LEFT JOIN job_data d ON d.job_id = j.id
        WHERE j.id = :id AND j.account_id = :account_id
    """)
    row = (await connection.execute(query, {"id": job_id, "account_id": account_id})).one_or_none()
    if row is None:
        raise JobMissing
    status = JobStatus(row.status)
    if status.live:
        raise JobIsLive
    if status not in RETRIABLE:
        raise JobHasSucceeded
    if row.parameters is None:
        raise JobDataGone
    return row.kind, row.units_reserved, row.parameters


async def retry(
    connection: AsyncConnection, job_id: uuid.UUID, debit: Debit, *, most_queued: int, kept: timedelta
) -> None:
    """Queue a job again, under a new charge that was taken; its next attempt counts from here.

    Raises:
        QueueFull: nothing is changed.
        JobIsLive: another call has queued it.
    """
    await connection.execute(ACCOUNT, {"account_id": debit.account_id})
    await connection.execute(LANE, {"account_id": debit.account_id})
    await lock_events(connection, [debit.account_id])
    if (await connection.scalar(QUEUED, {"account_id": debit.account_id}) or 0) >= most_queued:
        raise QueueFull(most_queued)
    values = {"id": job_id, "debit_id": debit.debit_id, "units": debit.units, "longest": LONGEST, "kept": kept}
    if not (await connection.execute(_AGAIN, values)).rowcount:
        raise JobIsLive
