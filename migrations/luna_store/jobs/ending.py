"""Endings: one transaction commits result, state, attempt, settlement of the charge, event and webhook.

The row's fence decides who may end a running job, so a result is committed once, whoever computed it a second time.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.jobs.creating import owner_of
from luna_store.jobs.events import SNAPSHOT, lock_events
from luna_store.jobs.states import JobStatus
from luna_store.ledger import holds
from luna_store.ledger.booking import lock_accounts
from luna_store.ledger.holds import Hold, HoldLost

# The artifact that is the result, where it is in the object store. Names of others are one segment of a path.
RESULT = "/result"
# Of the holds of jobs. The job's own fence decides who may close them.
HOLD_FENCE = 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job made."""

    name: str
    media_type: str
    body: bytes | None
    object_key: str | None = None
    size: int = 0
    sha256: str = ""

    @classmethod
    def of(cls, name: str, media_type: str, body: bytes) -> "Artifact":
        """One that is kept in the row."""
        return cls(name, media_type, body, None, len(body), hashlib.sha256(body).hexdigest())

    def at(self, object_key: str) -> "Artifact":
        """The same, kept in the object store."""
        return replace(self, body=None, object_key=object_key)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt at a job ended."""

    job_id: uuid.UUID
    account_id: int
    fence: int
    status: JobStatus
    """A final one; or QUEUED, to be tried again after `retry_in_s`."""
    units_used: int = 0
    error: Mapping[str, Any] | None = None
    result: bytes | None = None
    progress: Mapping[str, Any] | None = None
    manifest: Mapping[str, Any] | None = None
    """Members to add."""
    artifacts: tuple[Artifact, ...] = ()
    retry_in_s: float = 0.0
    outcome: str = ""
    """Of the attempt; by default the status."""


_END = text(f"""
WITH given AS (
    SELECT * FROM jsonb_to_recordset(CAST(:ended AS jsonb)) AS g(
        id uuid, fence bigint, status text, units int, error jsonb, progress jsonb, manifest jsonb, retry_in float8,
        outcome text
    )
), j AS (
    UPDATE jobs SET status = g.status, units_used = least(g.units, units_reserved), error = g.error,
        progress = coalesce(g.progress, jobs.progress), manifest = jobs.manifest || coalesce(g.manifest, '{{}}'),
        worker = NULL, lease_until = NULL,
        failures = failures + CASE WHEN g.status = 'queued' THEN 1 ELSE 0 END,
        run_after = clock_timestamp() + make_interval(secs => g.retry_in),
        finished_at = CASE WHEN g.status = 'queued' THEN NULL ELSE clock_timestamp() END
    FROM given g WHERE jobs.id = g.id AND jobs.fence = g.fence AND jobs.status = 'running' RETURNING jobs.*
), attempts AS (
    UPDATE job_attempts a SET ended_at = clock_timestamp(), outcome = g.outcome
    FROM j JOIN given g ON g.id = j.id WHERE a.job_id = j.id AND a.fence = g.fence
), whole AS (
    -- The debit was taken when the job was created, and all of it is owed.
    DELETE FROM holds h USING j
    WHERE h.debit_id = j.debit_id AND j.status <> 'queued' AND j.units_used = j.units_reserved
), events AS (
    INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
), outbox AS (
    INSERT INTO webhook_deliveries (job_id, account_id, url, event, data)
    SELECT id, account_id, webhook_url, 'job.' || status, {SNAPSHOT} FROM j
    WHERE webhook_url IS NOT NULL AND status <> 'queued'
)
SELECT id, account_id, status, debit_id, units_reserved, units_used, route, queued_at FROM j
""")  # noqa: S608  constants
# A job that was extended and comes to nothing keeps the result that it had; of others there is none.
_RESULT = text("UPDATE job_data SET result = coalesce(:result, result), checkpoint = NULL WHERE job_id = :id")
# Of an attempt that ended before a retry; the sweep deletes their objects.
_FORMER = text("DELETE FROM job_artifacts WHERE job_id = ANY(:ids)")
_ARTIFACT = text("""
INSERT INTO job_artifacts (job_id, name, media_type, size, sha256, body, object_key)
VALUES (:job_id, :name, :media_type, :size, :sha256, :body, :object_key)
""")


async def end(engine: AsyncEngine, ended: Sequence[Ended]) -> set[uuid.UUID]:
    """End attempts at running jobs, in one transaction.

    Returns:
        The jobs that were ended. The others are another attempt's, or have ended already: nothing of them is changed.
    """
    async with engine.begin() as connection:
        return await end_on(connection, ended)


async def end_on(connection: AsyncConnection, ended: Sequence[Ended]) -> set[uuid.UUID]:
    """As `end`, in the caller's transaction, which holds no locks yet."""
    account_ids = [each.account_id for each in ended]
    await lock_accounts(connection, account_ids)
    await lock_events(connection, account_ids)
    given = [
        {
            "id": str(each.job_id),
            "fence": each.fence,
            "status": each.status.value,
            "units": each.units_used,
            "error": each.error and dict(each.error),
            "progress": each.progress and dict(each.progress),
            "manifest": each.manifest and dict(each.manifest),
            "retry_in": each.retry_in_s,
            "outcome": each.outcome or each.status.value,
        }
        for each in ended
    ]
    rows = {row.id: row for row in await connection.execute(_END, {"ended": json.dumps(given)})}
    mine = [each for each in ended if each.job_id in rows and each.status is not JobStatus.QUEUED]
    if results := [{"id": each.job_id, "result": each.result} for each in mine]:
        await connection.execute(_RESULT, results)
        await connection.execute(_FORMER, {"ids": [each.job_id for each in mine]})
    if artifacts := [_row(each.job_id, artifact) for each in mine for artifact in each.artifacts]:
        await connection.execute(_ARTIFACT, artifacts)
    for each in mine:
        row = rows[each.job_id]
        if row.units_used < row.units_reserved:
            await close_hold(connection, row.id, row)
    return set(rows)


def _row(job_id: uuid.UUID, artifact: Artifact) -> dict[str, object]:
    return {
        "job_id": job_id,
        "name": artifact.name,
        "media_type": artifact.media_type,
        "size": artifact.size,
        "sha256": artifact.sha256,
        "body": artifact.body,
        "object_key": artifact.object_key,
    }


async def close_hold(connection: AsyncConnection, job_id: uuid.UUID, row: Any) -> None:  # noqa: ANN401  a Row
    """Settle a job's charge to `row.units_used`, and give the rest back."""
    if not row.units_reserved:
        return
    until = datetime.now(UTC) + timedelta(days=1)
    hold = Hold(
        row.debit_id,
        row.account_id,
        owner_of(job_id),
        HOLD_FENCE,
        row.units_reserved,
        row.route,
        row.queued_at,
        until,
    )
    try:
        await holds.settle(connection, hold, row.units_used)
    except HoldLost:
        # It was overdue and is voided: the job is free.
        await connection.execute(text("UPDATE jobs SET units_used = 0 WHERE id = :id"), {"id": job_id})
