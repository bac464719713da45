"""Cancels jobs for their callers, and expires those that have waited beyond their deadline."""

import uuid
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.jobs.creating import JobIsLive, JobMissing
from luna_store.jobs.ending import close_hold
from luna_store.jobs.events import SNAPSHOT, lock_events
from luna_store.jobs.states import JobStatus
from luna_store.ledger.booking import lock_accounts

_AT_ONCE: Final = 100
_STATUS = text("SELECT status FROM jobs WHERE id = :id AND account_id = :account_id")
_ASK = text("""
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
WHERE id = :id AND account_id = :account_id AND status = 'running' RETURNING status
""")
_END_QUEUED = f"""
WITH j AS (
    UPDATE jobs SET status = :status, fence = fence + 1, finished_at = clock_timestamp(), worker = NULL
    WHERE id = :id AND account_id = :account_id AND status = 'queued' {{condition}} RETURNING *
), events AS (
    INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
), outbox AS (
    INSERT INTO webhook_deliveries (job_id, account_id, url, event, data)
    SELECT id, account_id, webhook_url, 'job.' || status, {SNAPSHOT} FROM j WHERE webhook_url IS NOT NULL
)
SELECT id, account_id, debit_id, units_reserved, units_used, route, queued_at FROM j
"""  # noqa: S608  constants
_CANCEL_QUEUED = text(_END_QUEUED.format(condition=""))
_EXPIRE = text(_END_QUEUED.format(condition="AND deadline <= now()"))


async def cancel(engine: AsyncEngine, account_id: int, job_id: uuid.UUID) -> JobStatus:
    """Cancel a job that waits, or ask the worker of a running one to; returns the status that it has then.

    Raises:
        JobMissing: the account has no such job.
    """
    async with engine.begin() as connection:
        await lock_accounts(connection, [account_id])
        await lock_events(connection, [account_id])
        if await _end_queued(connection, account_id, job_id, JobStatus.CANCELLED):
            return JobStatus.CANCELLED
        values = {"id": job_id, "account_id": account_id}
        status = await connection.scalar(_ASK, values) or await connection.scalar(_STATUS, values)
        if status is None:
            raise JobMissing
        return JobStatus(status)


async def expire_overdue(engine: AsyncEngine) -> int:
    """End jobs that wait beyond their deadline; safe with several callers at once. Returns how many."""
    query = text("SELECT id, account_id FROM jobs WHERE status = 'queued' AND deadline <= now() LIMIT :at_most")
    async with engine.connect() as connection:
        overdue = (await connection.execute(query, {"at_most": _AT_ONCE})).all()
    for row in overdue:
        async with engine.begin() as connection:
            await lock_accounts(connection, [row.account_id])
            await lock_events(connection, [row.account_id])
            await _end_queued(connection, row.account_id, row.id, JobStatus.EXPIRED)
    return len(overdue)


async def _end_queued(connection: AsyncConnection, account_id: int, job_id: uuid.UUID, status: JobStatus) -> bool:
    query = _EXPIRE if status is JobStatus.EXPIRED else _CANCEL_QUEUED
    values = {"id": job_id, "account_id": account_id, "status": status.value}
    row = (await connection.execute(query, values)).one_or_none()
    if row is None:
        return False
    await close_hold(connection, job_id, row)
    return True


async def delete_data(engine: AsyncEngine, account_id: int, job_id: uuid.UUID) -> list[str]:
    """Delete the parameters, the result and the artifacts of a job that has ended.

    Returns:
        The keys of their objects, which nothing names any more: delete them, or leave them to the sweep.

    Raises:
        JobMissing: the account has no such job.
        JobIsLive: it has not ended.
    """
    values = {"id": job_id, "account_id": account_id}
    async with engine.begin() as connection:
        query = text("SELECT status FROM jobs WHERE id = :id AND account_id = :account_id FOR UPDATE")
        status = await connection.scalar(query, values)
        if status is None:
            raise JobMissing
        if JobStatus(status).live:
            raise JobIsLive
        await connection.execute(
            text("UPDATE jobs SET data_deleted_at = coalesce(data_deleted_at, now()) WHERE id = :id"), values
        )
        await connection.execute(text("DELETE FROM job_data WHERE job_id = :id"), values)
        query = text("DELETE FROM job_artifacts WHERE job_id = :id RETURNING object_key")
        return [key for key in await connection.scalars(query, values) if key is not None]
