"""Reads jobs for their owners."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.jobs.ending import RESULT
from luna_store.jobs.states import JobStatus

_COLUMNS = """
j.id, j.account_id, j.kind, j.status, j.priority, j.labels, j.progress, j.error, j.units_reserved, j.units_used,
j.attempt, j.created_at, j.started_at, j.finished_at, j.deadline, j.expires_at, j.data_deleted_at,
j.cancel_requested_at, j.queued_at, j.webhook_url
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A job without its data."""

    id: uuid.UUID
    account_id: int
    kind: str
    status: JobStatus
    priority: int
    labels: dict[str, str]
    progress: dict[str, Any]
    error: dict[str, Any] | None
    units_reserved: int
    units_used: int
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime
    expires_at: datetime
    data_deleted_at: datetime | None
    cancel_requested_at: datetime | None
    queued_at: datetime
    webhook_url: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class ArtifactEntry:
    """An artifact without its body."""

    name: str
    media_type: str
    size: int
    sha256: str
    object_key: str | None


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with what its page shows."""

    job: Job
    result: bytes | None
    """The result, if it is in Postgres and has at most as many bytes as were asked for."""
    result_bytes: int | None
    """Bytes of the result; None without one."""
    queue_position: int | None
    """Jobs of the account that are claimed before it, and itself; None unless it waits."""
    attempts: tuple[Attempt, ...]
    artifacts: tuple[ArtifactEntry, ...]
    """Without the one that is the result."""


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result where it is kept: its bytes, or their place in the object store."""

    body: bytes | None
    object_key: str | None
    sha256: str
    """Hexadecimal."""


def _job(row: Any) -> Job:  # noqa: ANN401  a Row
    return Job(**{name: getattr(row, name) for name in Job.__slots__ if name != "status"}, status=JobStatus(row.status))


_ONE = text(f"""
SELECT {_COLUMNS}, octet_length(d.result) AS result_bytes,
    CASE WHEN octet_length(d.result) <= :inline_bytes THEN d.result END AS result,
    CASE WHEN j.status = 'queued' THEN 1 + (
        SELECT count(*) FROM jobs o WHERE o.account_id = j.account_id AND o.status = 'queued'
            AND (-o.priority, o.queued_at, o.id) < (-j.priority, j.queued_at, j.id)
    ) END AS queue_position
FROM jobs j LEFT JOIN job_data d ON d.job_id = j.id WHERE j.id = :id AND j.account_id = :account_id
""")  # noqa: S608  constants
_ATTEMPTS = text("SELECT attempt, started_at, ended_at, outcome FROM job_attempts WHERE job_id = :id ORDER BY fence")
_ARTIFACTS = text(
    "SELECT name, media_type, size, sha256, object_key FROM job_artifacts WHERE job_id = :id ORDER BY name"
)


async def find(engine: AsyncEngine, account_id: int, job_id: uuid.UUID, *, inline_bytes: int) -> JobDetail | None:
    """A job of the account; None if it has none of this id."""
    async with engine.connect() as connection:
        values = {"id": job_id, "account_id": account_id, "inline_bytes": inline_bytes}
        row = (await connection.execute(_ONE, values)).one_or_none()
        if row is None:
            return None
        attempts = tuple(Attempt(*each) for each in await connection.execute(_ATTEMPTS, {"id": job_id}))
        files = [ArtifactEntry(*each) for each in await connection.execute(_ARTIFACTS, {"id": job_id})]
    result_bytes = next((each.size for each in files if each.name == RESULT), row.result_bytes)
    artifacts = tuple(each for each in files if each.name != RESULT)
    return JobDetail(_job(row), row.result, result_bytes, row.queue_position, attempts, artifacts)


async def jobs_of(engine: AsyncEngine, account_id: int, job_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Job]:
    """Those of these jobs that the account has, by id."""
    query = text(f"SELECT {_COLUMNS} FROM jobs j WHERE j.id = ANY(:ids) AND j.account_id = :account_id")  # noqa: S608
    async with engine.connect() as connection:
        rows = await connection.execute(query, {"ids": list(set(job_ids)), "account_id": account_id})
        return {row.id: _job(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs a list holds."""

    statuses: tuple[JobStatus, ...] = ()
    """Any of these; empty for all."""
    kind: str | None = None
    labels: Mapping[str, str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    newest_first: bool = True


async def list_jobs(
    engine: AsyncEngine, account_id: int, which: Filter, after: tuple[datetime, uuid.UUID] | None, at_most: int
) -> Sequence[Job]:
    """A page of jobs by creation time and id.

    Args:
        engine: of the caller.
        account_id: whose.
        which: the filter.
        after: the sort key of the last job of the page before; None to begin.
        at_most: how many.
    """
    conditions = ["j.account_id = :account_id"]
    values: dict[str, Any] = {"account_id": account_id, "at_most": at_most}
    if which.statuses:
        conditions.append("j.status = ANY(:statuses)")
        values["statuses"] = [each.value for each in which.statuses]
    if which.kind is not None:
        conditions.append("j.kind = :kind")
        values["kind"] = which.kind
    for i, (name, value) in enumerate((which.labels or {}).items()):
        conditions.append(f"j.labels ->> :label_{i} = :value_{i}")
        values |= {f"label_{i}": name, f"value_{i}": value}
    if which.created_after is not None:
        conditions.append("j.created_at >= :created_after")
        values["created_after"] = which.created_after
    if which.created_before is not None:
        conditions.append("j.created_at < :created_before")
        values["created_before"] = which.created_before
    if after is not None:
        conditions.append(f"(j.created_at, j.id) {'<' if which.newest_first else '>'} (:last_at, :last_id)")
        values |= {"last_at": after[0], "last_id": after[1]}
    direction = "DESC" if which.newest_first else "ASC"
    query = text(f"""
        SELECT {_COLUMNS} FROM jobs j WHERE {" AND ".join(conditions)}
        ORDER BY j.created_at {direction}, j.id {direction} LIMIT :at_most
    """)  # noqa: S608  constants and names of parameters
    async with engine.connect() as connection:
        return [_job(row) for row in await connection.execute(query, values)]


async def result_of(engine: AsyncEngine, job_id: uuid.UUID) -> StoredResult | None:
    """The whole result of a job; None without one."""
    query = text("""
        SELECT d.result, a.object_key, a.sha256
        FROM job_data d LEFT JOIN job_artifacts a ON a.job_id = d.job_id AND a.name = :name WHERE d.job_id = :id
    """)
    async with engine.connect() as connection:
        row = (await connection.execute(query, {"id": job_id, "name": RESULT})).one_or_none()
    if row is None or (row.result is None and row.object_key is None):
        return None
    if row.object_key is not None:
        return StoredResult(None, row.object_key, row.sha256)
    return StoredResult(row.result, None, hashlib.sha256(row.result).hexdigest())


async def artifact_of(
    engine: AsyncEngine, account_id: int, job_id: uuid.UUID, name: str
) -> tuple[ArtifactEntry, bytes | None] | None:
    """An artifact of a job and its bytes, None where they are in the object store; None if there is none."""
    query = text("""
        SELECT a.name, a.media_type, a.size, a.sha256, a.object_key, a.body
        FROM job_artifacts a JOIN jobs j ON j.id = a.job_id
        WHERE a.job_id = :id AND a.name = :name AND j.account_id = :account_id
    """)
    async with engine.connect() as connection:
        row = (await connection.execute(query, {"id": job_id, "name": name, "account_id": account_id})).one_or_none()
    return None if row is None else (ArtifactEntry(*row[:5]), row.body)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What it takes to run a job again."""

    kind: str
    manifest: dict[str, Any]
    parameters: bytes | None
    """None after its data was deleted."""


async def manifest_of(engine: AsyncEngine, account_id: int, job_id: uuid.UUID) -> Manifest | None:
    """The manifest of a job of the account; None if it has none of this id."""
    query = text("""
        SELECT j.kind, j.manifest, d.parameters FROM jobs j LEFT JOIN job_data d ON d.job_id = j.id
        WHERE j.id = :id AND j.account_id = :account_id
    """)
    async with engine.connect() as connection:
        row = (await connection.execute(query, {"id": job_id, "account_id": account_id})).one_or_none()
        return None if row is None else Manifest(*row)
