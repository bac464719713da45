"""Creates a set: takes the next number of its name, and reserves the bytes that are to be sent."""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.datasets.store.reading import Reference, files_on, find_on, used_bytes
from luna_serving.capabilities.datasets.store.records import Declared, FileRecord, SetRecord
from luna_store import limits
from luna_store.accounts.accounts import AccountNotFound
from luna_store.audit.actors import Actor, acting_as
from luna_store.platform.uuid7 import uuid7

STORED_BYTES: Final = "datasets.stored_bytes"
# First key of the advisory locks: "data" in ASCII.
_LOCK_CLASS: Final = 0x64617461
_LOCK = text("SELECT pg_advisory_xact_lock(:lock_class, :account_id)")
_LIMITS = text("SELECT limits FROM accounts WHERE id = :account_id")
_COUNT = text("SELECT count(*) FROM datasets WHERE account_id = :account_id")
_KNOWN = text("""
SELECT DISTINCT ON (sha256) sha256, bytes, key FROM dataset_objects
WHERE account_id = :account_id AND kind = 'file' AND verified AND sha256 = ANY(:digests) ORDER BY sha256, created_at
""")
_VERSION = text("""
INSERT INTO dataset_names (account_id, name, last_version) VALUES (:account_id, :name, 1)
ON CONFLICT (account_id, name) DO UPDATE SET last_version = dataset_names.last_version + 1 RETURNING last_version
""")
_SET = text("""
INSERT INTO datasets (id, account_id, name, version, type, contract, file_count, bytes, reserved_bytes)
VALUES (:id, :account_id, :name, :version, :type, CAST(:contract AS jsonb), :file_count, :bytes, :reserved)
""")
_FILES = text("""
INSERT INTO dataset_files (dataset_id, position, path, bytes, sha256, media_type, object_key)
SELECT :id, g.position, g.path, g.bytes, g.sha256, g.media_type, g.object_key
FROM jsonb_to_recordset(CAST(:files AS jsonb)) AS g(
    position int, path text, bytes bigint, sha256 text, media_type text, object_key text
)
""")


@dataclass(frozen=True, slots=True)
class NewSet:
    """A set to create."""

    account_id: int
    name: str
    type: str
    contract: Mapping[str, Any]
    files: Sequence[Declared]


class NoRoom(Exception):
    """The account may not store so many bytes."""

    def __init__(self, wanted: int, used: int, most: int) -> None:
        super().__init__(
            f"The files to send have {wanted} bytes. The account uses {used} of the {most} bytes that it may store "
            f"({STORED_BYTES}), unfinished uploads among them. Delete a data set (DELETE /datasets/{{reference}}), or "
            "ask the team that runs Luna for a higher limit."
        )
        self.wanted = wanted
        self.used = used
        self.most = most


class TooManySets(Exception):
    """The account has as many sets as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The account has {most} data sets, which is its limit. Delete one.")


async def lock_sets(connection: AsyncConnection, account_id: int) -> None:
    """Let no other transaction create or delete sets or objects of the account until this one ends."""
    await connection.execute(_LOCK, {"lock_class": _LOCK_CLASS, "account_id": account_id})


Also = Callable[[AsyncConnection, SetRecord], Awaitable[None]]
"""What else the transaction does that creates a set."""


async def start(
    engine: AsyncEngine, new: NewSet, *, most_sets: int, also: Also, by: Actor
) -> tuple[SetRecord, list[FileRecord]]:
    """Create a set, for the audit log `by` this actor. Files whose bytes the account has are not to be sent again.

    Raises:
        AccountNotFound: there is no such account (any more).
        NoRoom, TooManySets: nothing is changed.
    """
    try:
        async with engine.begin() as connection:
            await lock_sets(connection, new.account_id)
            await acting_as(connection, by)
            record = await _started(connection, new, most_sets)
            await also(connection, record)
            return record, await files_on(connection, record.id)
    except IntegrityError as e:
        raise AccountNotFound(new.account_id) from e


async def _started(connection: AsyncConnection, new: NewSet, most_sets: int) -> SetRecord:
    of_account = {"account_id": new.account_id}
    if (await connection.scalar(_COUNT, of_account) or 0) >= most_sets:
        raise TooManySets(most_sets)
    digests = [each.sha256 for each in new.files]
    found = await connection.execute(_KNOWN, {**of_account, "digests": digests})
    known = {(row.sha256, row.bytes): row.key for row in found}
    keys = [known.get((each.sha256, each.bytes)) for each in new.files]
    wanted = sum(each.bytes for each, key in zip(new.files, keys, strict=True) if key is None)
    most = limits.in_force(await connection.scalar(_LIMITS, of_account) or {})[STORED_BYTES]
    used = await used_bytes(connection, new.account_id)
    if used + wanted > most:
        raise NoRoom(wanted, used, most)
    version = await connection.scalar(_VERSION, {**of_account, "name": new.name})
    dataset_id: uuid.UUID = uuid7()
    values = {
        "id": dataset_id,
        **of_account,
        "name": new.name,
        "version": version,
        "type": new.type,
        "contract": json.dumps(dict(new.contract)),
        "file_count": len(new.files),
        "bytes": sum(each.bytes for each in new.files),
        "reserved": wanted,
    }
    await connection.execute(_SET, values)
    files = [
        {
            "position": i,
            "path": each.path,
            "bytes": each.bytes,
            "sha256": each.sha256,
            "media_type": each.media_type,
            "object_key": key,
        }
        for i, (each, key) in enumerate(zip(new.files, keys, strict=True))
    ]
    await connection.execute(_FILES, {"id": dataset_id, "files": json.dumps(files)})
    return await find_on(connection, new.account_id, Reference(dataset_id))
