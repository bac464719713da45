"""Claims: which account's turn it is, and its best jobs.

An account's turn follows its pass (stride scheduling): each job adds 1 / weight, and the least pass is next, so the
workers are shared by weight and no share is left unused. Within an account, priority decides, then age.

The lane's row is locked first, and only then are the account's running jobs counted, in a statement with a snapshot of
its own: another claim of the account has then either committed or not begun, so the number of jobs that run at once is
exact.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store import limits
from luna_store.jobs.events import SNAPSHOT, lock_events

# Seconds of a lease, on the database's clock. A heartbeat each second renews it.
LEASE_S: Final = 10.0
CONCURRENT: Final = "jobs.concurrent"
SECONDS: Final = "jobs.seconds"
RESULT_BYTES: Final = "jobs.result_bytes"
WEIGHT: Final = "jobs.weight"

_LANE = text("""
SELECT l.account_id, a.limits
FROM job_lanes l JOIN accounts a ON a.id = l.account_id
WHERE a.state = 'active' AND (a.expires_at IS NULL OR a.expires_at > now())
    AND EXISTS (
        SELECT FROM jobs j
        WHERE j.account_id = l.account_id AND j.status = 'queued' AND j.run_after <= now() AND j.kind = ANY(:kinds)
    )
    AND (SELECT count(*) FROM jobs r WHERE r.account_id = l.account_id AND r.status = 'running')
        < coalesce(CAST(a.limits ->> :concurrent AS int), :concurrent_default)
ORDER BY l.pass, l.account_id LIMIT 1 FOR UPDATE OF l SKIP LOCKED
""")
_CLAIM = text(f"""
WITH best AS (
    SELECT id FROM jobs
    WHERE account_id = :account_id AND status = 'queued' AND run_after <= now() AND kind = ANY(:kinds)
    ORDER BY priority DESC, queued_at, id
    LIMIT greatest(0, least(
        :at_most, :concurrent - (SELECT count(*) FROM jobs WHERE account_id = :account_id AND status = 'running')
    )) FOR UPDATE SKIP LOCKED
), j AS (
    UPDATE jobs SET status = 'running', fence = fence + 1, worker = :worker,
        -- A retry has counted its attempt when it was asked for.
        attempt = attempt + CASE WHEN attempt = 0 OR EXISTS (
            SELECT FROM job_attempts t WHERE t.job_id = jobs.id AND t.attempt = jobs.attempt
        ) THEN 1 ELSE 0 END,
        lease_until = clock_timestamp() + make_interval(secs => :lease_s),
        started_at = coalesce(started_at, clock_timestamp())
    FROM best WHERE jobs.id = best.id RETURNING jobs.*
), attempts AS (
    INSERT INTO job_attempts (job_id, fence, attempt, worker) SELECT id, fence, attempt, worker FROM j
), turn AS (
    UPDATE job_lanes SET pass = pass + (SELECT count(*) FROM best) / CAST(:weight AS float8)
    WHERE account_id = :account_id
), events AS (
    INSERT INTO job_events (job_id, account_id, event, data) SELECT id, account_id, status, {SNAPSHOT} FROM j
)
SELECT j.id, j.account_id, j.kind, j.fence, j.attempt, j.failures, j.units_reserved, j.priority, j.progress,
    j.manifest,
    CAST(extract(epoch FROM j.deadline - clock_timestamp()) AS float8) AS deadline_in_s,
    j.created_at, d.parameters, d.checkpoint
FROM j JOIN job_data d ON d.job_id = j.id ORDER BY j.priority DESC, j.queued_at, j.id
""")  # noqa: S608  constants


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker has until its lease ends."""

    id: uuid.UUID
    account_id: int
    kind: str
    fence: int
    attempt: int
    failures: int
    units_reserved: int
    priority: int
    progress: dict[str, object]
    manifest: dict[str, object]
    deadline_in_s: float
    """Seconds from the claim to its deadline."""
    created_at: datetime
    parameters: bytes
    checkpoint: bytes | None
    limits: dict[str, int]
    """The account's limits in force."""


async def claim(
    engine: AsyncEngine, worker: str, kinds: Sequence[str], at_most: int, *, lease_s: float = LEASE_S
) -> list[ClaimedJob]:
    """Claim jobs of the account whose turn it is.

    Args:
        engine: of the worker.
        worker: its name.
        kinds: the kinds that it can run.
        at_most: how many jobs it has room for.
        lease_s: seconds that the claims last without a heartbeat.

    Returns:
        None of them where no account has a job to be claimed, or others hold their lanes at this instant.
    """
    async with engine.begin() as connection:
        values = {"kinds": list(kinds), "concurrent": CONCURRENT, "concurrent_default": limits.in_force({})[CONCURRENT]}
        lane = (await connection.execute(_LANE, values)).one_or_none()
        if lane is None:
            return []
        in_force = limits.in_force(lane.limits)
        return await _claim(connection, lane.account_id, in_force, worker, list(kinds), at_most, lease_s)


async def _claim(
    connection: AsyncConnection,
    account_id: int,
    in_force: dict[str, int],
    worker: str,
    kinds: list[str],
    at_most: int,
    lease_s: float,
) -> list[ClaimedJob]:
    await lock_events(connection, [account_id])
    values = {
        "account_id": account_id,
        "kinds": kinds,
        "at_most": at_most,
        "concurrent": in_force[CONCURRENT],
        "weight": in_force[WEIGHT],
        "worker": worker,
        "lease_s": lease_s,
    }
    return [ClaimedJob(**row, limits=in_force) for row in (await connection.execute(_CLAIM, values)).mappings()]


_BACKLOG = text("""
SELECT count(*) FILTER (WHERE status = 'queued' AND run_after <= now()) AS queued,
       count(*) FILTER (WHERE status = 'running') AS running,
       coalesce(extract(epoch FROM now() - min(queued_at) FILTER (WHERE status = 'queued')), 0) AS oldest_s
FROM jobs WHERE status IN ('queued', 'running')
""")


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs of all accounts that wait and run."""

    queued: int
    running: int
    oldest_s: float
    """Seconds that the oldest has waited."""


async def backlog(engine: AsyncEngine) -> Backlog:
    """What waits and what runs."""
    async with engine.connect() as connection:
        row = (await connection.execute(_BACKLOG)).one()
        return Backlog(row.queued, row.running, float(row.oldest_s))
