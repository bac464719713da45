"""Removes sets, and what they no longer need: rows first, objects afterwards.

An object whose row is gone is garbage. If the process dies before it deletes the objects, the sweep finds them.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.datasets.store.reading import COLUMNS, Reference, find_on, set_of
from luna_serving.capabilities.datasets.store.records import SetNotFound, SetRecord
from luna_serving.capabilities.datasets.store.starting import lock_sets
from luna_store.audit.actors import Actor, acting_as

AT_ONCE: Final = 100

_OF_NAME = text(f"SELECT {COLUMNS} FROM datasets d WHERE d.account_id = :account_id AND d.name = :name")  # noqa: S608
_DELETE = text("DELETE FROM datasets WHERE id = ANY(:ids)")
_UNPOINT = text("UPDATE dataset_files SET object_key = NULL WHERE dataset_id = ANY(:ids)")
# Files that other sets use stay; reports and tables go with their set.
_GARBAGE = text("""
DELETE FROM dataset_objects o WHERE o.account_id = :account_id AND (
    (o.kind <> 'file' AND o.dataset_id = ANY(:ids))
    OR (o.kind = 'file' AND NOT EXISTS (SELECT FROM dataset_files f WHERE f.object_key = o.key))
) RETURNING o.key
""")
_UNUSED = text("""
DELETE FROM dataset_objects o WHERE o.account_id = :account_id AND o.kind = 'file'
    AND NOT EXISTS (SELECT FROM dataset_files f WHERE f.object_key = o.key) RETURNING o.key
""")
_STALE = text(f"""
SELECT {COLUMNS} FROM datasets d
WHERE d.state IN ('uploading', 'failed') AND d.active_at < now() - CAST(:idle AS interval)
ORDER BY d.active_at LIMIT :at_most
""")  # noqa: S608
_EXPIRE = text("""
UPDATE datasets SET state = 'expired', reserved_bytes = 0
WHERE id = :id AND state IN ('uploading', 'failed') AND active_at < now() - CAST(:idle AS interval)
""")
_OLD_INVALID = text(f"""
SELECT {COLUMNS} FROM datasets d
WHERE d.state = 'invalid' AND d.validated_at < now() - CAST(:kept AS interval)
    AND EXISTS (SELECT FROM dataset_files f WHERE f.dataset_id = d.id AND f.object_key IS NOT NULL)
ORDER BY d.validated_at LIMIT :at_most
""")  # noqa: S608
_OLD_EXPIRED = text("""
DELETE FROM datasets WHERE id IN (
    SELECT id FROM datasets WHERE state = 'expired' AND active_at < now() - CAST(:kept AS interval) LIMIT :at_most
)
""")


async def delete(
    engine: AsyncEngine, account_id: int, reference: Reference, by: Actor
) -> tuple[list[SetRecord], list[str]]:
    """Delete a set, or all versions of a name, for the audit log `by` this actor.

    Returns:
        The sets that were deleted, and the keys of the objects that are garbage now.

    Raises:
        SetNotFound: there is none.
    """
    async with engine.begin() as connection:
        await lock_sets(connection, account_id)
        await acting_as(connection, by)
        if reference.id is None and reference.version is None:
            rows = await connection.execute(_OF_NAME, {"account_id": account_id, "name": reference.name})
            records = [set_of(row) for row in rows]
            if not records:
                raise SetNotFound(str(reference))
        else:
            records = [await find_on(connection, account_id, reference)]
        ids = [each.id for each in records]
        await connection.execute(_DELETE, {"ids": ids})
        return records, list(await connection.scalars(_GARBAGE, {"account_id": account_id, "ids": ids}))


async def stale(engine: AsyncEngine, idle: timedelta) -> Sequence[SetRecord]:
    """Unfinished sets that nobody has worked on for so long, the oldest first."""
    async with engine.connect() as connection:
        return [set_of(row) for row in await connection.execute(_STALE, {"idle": idle, "at_most": AT_ONCE})]


async def expire(connection: AsyncConnection, record: SetRecord, idle: timedelta) -> list[str]:
    """End an unfinished set and free its bytes, unless somebody works on it; returns keys that are garbage now."""
    await lock_sets(connection, record.account_id)
    if not (await connection.execute(_EXPIRE, {"id": record.id, "idle": idle})).rowcount:
        return []
    return await _freed(connection, record)


async def old_invalid(engine: AsyncEngine, kept: timedelta) -> Sequence[SetRecord]:
    """Invalid sets whose files are kept no longer, the oldest first."""
    async with engine.connect() as connection:
        return [set_of(row) for row in await connection.execute(_OLD_INVALID, {"kept": kept, "at_most": AT_ONCE})]


async def free_files(connection: AsyncConnection, record: SetRecord) -> list[str]:
    """Let the files of an invalid set go, and keep its report; returns keys that are garbage now."""
    await lock_sets(connection, record.account_id)
    return await _freed(connection, record)


async def delete_expired(connection: AsyncConnection, kept: timedelta) -> int:
    """Delete the rows of sets that expired long ago; returns how many."""
    return (await connection.execute(_OLD_EXPIRED, {"kept": kept, "at_most": AT_ONCE})).rowcount


async def _freed(connection: AsyncConnection, record: SetRecord) -> list[str]:
    ids: list[uuid.UUID] = [record.id]
    await connection.execute(_UNPOINT, {"ids": ids})
    return list(await connection.scalars(_UNUSED, {"account_id": record.account_id}))
