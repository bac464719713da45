"""What happens to the rows of a set from the first look at its files to its verdict.

Everything is conditional on the state and on the job: what an attempt does that has lost its job changes nothing.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.datasets.store.reading import Reference, find_on
from luna_serving.capabilities.datasets.store.records import FileRecord, Kind, NotNow, SetRecord, State
from luna_serving.capabilities.datasets.store.starting import lock_sets
from luna_store.prices.publishing import Contents, publish_dataset

_TOUCH = text("UPDATE datasets SET active_at = now() WHERE id = :id AND state IN ('uploading', 'failed')")
_UPLOAD = text("""
UPDATE dataset_files SET upload_id = :upload_id
WHERE dataset_id = :id AND position = :position AND upload_id IS NOT DISTINCT FROM :before RETURNING upload_id
""")
_BEGIN = text("""
UPDATE datasets SET state = 'validating', job_id = :job_id, error = NULL, completed_at = now(), active_at = now()
WHERE id = :id AND account_id = :account_id AND state IN ('uploading', 'failed')
""")
_LIVE = text("SELECT 1 FROM datasets WHERE id = :id AND state = 'validating' AND job_id = :job_id FOR UPDATE")
_OBJECT = text("""
INSERT INTO dataset_objects (key, account_id, dataset_id, kind, bytes, sha256, verified)
VALUES (:key, :account_id, :dataset_id, :kind, :bytes, :sha256, :verified)
ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, sha256 = excluded.sha256, verified = excluded.verified
""")
_GIVEN = "jsonb_to_recordset(CAST(:objects AS jsonb)) AS g(key text, position int, bytes bigint, sha256 text)"
_OBJECTS = text(f"""
INSERT INTO dataset_objects (key, account_id, dataset_id, kind, bytes, sha256)
SELECT g.key, :account_id, :id, 'file', g.bytes, g.sha256 FROM {_GIVEN}
""")  # noqa: S608  constants
_POINT_ALL = text(f"""
UPDATE dataset_files f SET object_key = g.key FROM {_GIVEN} WHERE f.dataset_id = :id AND f.position = g.position
""")  # noqa: S608  constants
_POINT = text("UPDATE dataset_files SET object_key = :key WHERE dataset_id = :id AND position = :position")
_UNRESERVE = text("UPDATE datasets SET reserved_bytes = greatest(0, reserved_bytes - :bytes) WHERE id = :id")
_RESERVE = text("UPDATE datasets SET reserved_bytes = reserved_bytes + :bytes WHERE id = :id")
_VERIFIED = text("UPDATE dataset_objects SET verified = true WHERE key = ANY(:keys)")
_DROP = text("DELETE FROM dataset_objects WHERE key = :key")
_END = text("""
UPDATE datasets SET state = :state, digest = :digest, error = CAST(:error AS jsonb), validated_at = now(),
    reserved_bytes = 0
WHERE id = :id
""")
_FAIL = text("""
UPDATE datasets SET state = 'failed', error = CAST(:error AS jsonb), active_at = now()
WHERE id = :id AND state = 'validating' AND job_id = :job_id
""")
_REPORT = text("""
INSERT INTO dataset_reports (dataset_id, report) VALUES (:id, :report)
ON CONFLICT (dataset_id) DO UPDATE SET report = excluded.report
""")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The job that validates a set."""

    account_id: int
    dataset_id: uuid.UUID
    job_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Made:
    """An object that a validation makes besides the files."""

    key: str
    kind: Kind
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MarketMade:
    """A market that a validation has made of a set; its objects are among those that it made."""

    contents: Contents
    arrow_key: str
    parquet_key: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a validation ended."""

    state: State
    """VALID or INVALID."""
    digest: str | None
    report: bytes
    market: MarketMade | None = None
    """Of a valid set of bars."""


async def touch(engine: AsyncEngine, dataset_id: uuid.UUID) -> None:
    """Note that somebody works on an unfinished set."""
    async with engine.begin() as connection:
        await connection.execute(_TOUCH, {"id": dataset_id})


async def keep_upload(
    engine: AsyncEngine, dataset_id: uuid.UUID, position: int, upload_id: str, *, before: str | None
) -> bool:
    """Keep the multipart upload of a file in place of another; False if a concurrent call has kept its own."""
    values = {"id": dataset_id, "position": position, "upload_id": upload_id, "before": before}
    async with engine.begin() as connection:
        return await connection.scalar(_UPLOAD, values) is not None


async def begin(connection: AsyncConnection, account_id: int, dataset_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Let a job validate the set, in the transaction that queues the job.

    Raises:
        NotNow: another job does, or it was validated, or has expired.
    """
    values = {"id": dataset_id, "account_id": account_id, "job_id": job_id}
    if not (await connection.execute(_BEGIN, values)).rowcount:
        raise NotNow(await find_on(connection, account_id, Reference(dataset_id)))


async def claim_objects(engine: AsyncEngine, attempt: Attempt, files: Sequence[tuple[FileRecord, str]]) -> bool:
    """Count files' bytes as those of objects that are about to be written; False if the job has lost the set."""
    given = [{"key": key, "position": file.position, "bytes": file.bytes, "sha256": file.sha256} for file, key in files]
    values = {
        "objects": json.dumps(given),
        "account_id": attempt.account_id,
        "id": attempt.dataset_id,
        "bytes": sum(file.bytes for file, _ in files),
    }
    async with engine.begin() as connection:
        await lock_sets(connection, attempt.account_id)
        if not await _mine(connection, attempt):
            return False
        await connection.execute(_OBJECTS, values)
        await connection.execute(_POINT_ALL, values)
        await connection.execute(_UNRESERVE, values)
        return True


async def verify_objects(engine: AsyncEngine, keys: Sequence[str]) -> None:
    """Note that the bytes of objects have the declared digests: other sets may use them from now on."""
    async with engine.begin() as connection:
        await connection.execute(_VERIFIED, {"keys": list(keys)})


async def drop_object(engine: AsyncEngine, attempt: Attempt, file: FileRecord, key: str) -> bool:
    """Undo `claim_objects`: the object is not what was declared. Delete it from the store afterwards."""
    async with engine.begin() as connection:
        await lock_sets(connection, attempt.account_id)
        if not await _mine(connection, attempt):
            return False
        await connection.execute(_POINT, {"key": None, "id": attempt.dataset_id, "position": file.position})
        await connection.execute(_DROP, {"key": key})
        await connection.execute(_RESERVE, {"bytes": file.bytes, "id": attempt.dataset_id})
        return True


async def claim_made(engine: AsyncEngine, attempt: Attempt, made: Sequence[Made]) -> bool:
    """Count objects that are about to be written; False if the job has lost the set."""
    async with engine.begin() as connection:
        await lock_sets(connection, attempt.account_id)
        if not await _mine(connection, attempt):
            return False
        for each in made:
            values = {
                "key": each.key,
                "account_id": attempt.account_id,
                "dataset_id": attempt.dataset_id,
                "kind": each.kind.value,
                "bytes": each.bytes,
                "sha256": each.sha256,
                "verified": True,
            }
            await connection.execute(_OBJECT, values)
        return True


async def end(engine: AsyncEngine, attempt: Attempt, verdict: Verdict) -> bool:
    """Commit the verdict on a set and its report; False if the job has lost the set, or has committed before."""
    async with engine.begin() as connection:
        await lock_sets(connection, attempt.account_id)
        if not await _mine(connection, attempt):
            return False
        values = {"id": attempt.dataset_id, "state": verdict.state.value, "digest": verdict.digest, "error": None}
        await connection.execute(_END, values)
        await connection.execute(_REPORT, {"id": attempt.dataset_id, "report": verdict.report})
        if verdict.market is not None:
            record = await find_on(connection, attempt.account_id, Reference(attempt.dataset_id))
            made = verdict.market
            keys = made.arrow_key, made.parquet_key
            await publish_dataset(
                connection, record.account_id, record.name, record.version, record.id, keys, made.contents
            )
        return True


async def fail(
    connection: AsyncConnection, dataset_id: uuid.UUID, job_id: uuid.UUID, error: Mapping[str, Any] | None
) -> bool:
    """Note that the job of a set has ended without a verdict; False if the set has gone on."""
    values = {"id": dataset_id, "job_id": job_id, "error": json.dumps(error) if error else None}
    return bool((await connection.execute(_FAIL, values)).rowcount)


async def _mine(connection: AsyncConnection, attempt: Attempt) -> bool:
    values = {"id": attempt.dataset_id, "job_id": attempt.job_id}
    return await connection.scalar(_LIVE, values) is not None


async def record_of(engine: AsyncEngine, attempt: Attempt) -> SetRecord:
    """The set that a job validates.

    Raises:
        SetNotFound: it was deleted.
    """
    async with engine.connect() as connection:
        return await find_on(connection, attempt.account_id, Reference(attempt.dataset_id))
