"""Reads sets, their files and reports."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.datasets.store.records import FileRecord, Kind, SetNotFound, SetRecord, State

COLUMNS: Final = """
d.id, d.account_id, d.name, d.version, d.type, d.state, d.contract, d.file_count, d.bytes, d.digest, d.job_id, d.error,
d.created_at, d.active_at, d.completed_at, d.validated_at
"""
_BY_ID = text(f"SELECT {COLUMNS} FROM datasets d WHERE d.id = :id AND d.account_id = :account_id")  # noqa: S608
_BY_VERSION = text(
    f"SELECT {COLUMNS} FROM datasets d WHERE d.account_id = :account_id AND d.name = :name AND d.version = :version"  # noqa: S608
)
# A name alone is its newest valid version, and where there is none, its newest.
_BY_NAME = text(f"""
SELECT {COLUMNS} FROM datasets d WHERE d.account_id = :account_id AND d.name = :name
ORDER BY (d.state = 'valid') DESC, d.version DESC LIMIT 1
""")  # noqa: S608
_FILES = text("""
SELECT f.path, f.bytes, f.sha256, f.media_type, f.position, f.upload_id, f.object_key,
    coalesce(o.verified, false) AS verified
FROM dataset_files f LEFT JOIN dataset_objects o ON o.key = f.object_key
WHERE f.dataset_id = :id ORDER BY f.position
""")
_FILE = text("""
SELECT f.path, f.bytes, f.sha256, f.media_type, f.position, f.upload_id, f.object_key,
    coalesce(o.verified, false) AS verified
FROM dataset_files f LEFT JOIN dataset_objects o ON o.key = f.object_key
WHERE f.dataset_id = :id AND f.path = :path
""")
_REPORT = text("SELECT report FROM dataset_reports WHERE dataset_id = :id")
_OBJECT = text("SELECT key FROM dataset_objects WHERE dataset_id = :id AND kind = :kind ORDER BY key LIMIT 1")
_USED = text("""
SELECT coalesce((SELECT sum(reserved_bytes) FROM datasets WHERE account_id = :account_id), 0)
    + coalesce((SELECT sum(bytes) FROM dataset_objects WHERE account_id = :account_id), 0)
""")


@dataclass(frozen=True, slots=True)
class Reference:
    """Which set: an id, or a name with a version or without."""

    id: uuid.UUID | None = None
    name: str = ""
    version: int | None = None

    def __str__(self) -> str:
        if self.id is not None:
            return str(self.id)
        return self.name if self.version is None else f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sets a list holds; all that is not None must hold."""

    state: State | None = None
    type: str | None = None
    name: str | None = None


def set_of(row: Any) -> SetRecord:  # noqa: ANN401  a Row
    """A row of `COLUMNS` as a value."""
    values = {name: getattr(row, name) for name in SetRecord.__slots__}
    return SetRecord(**values | {"state": State(row.state)})


async def find_on(connection: AsyncConnection, account_id: int, reference: Reference) -> SetRecord:
    """A set of the account.

    Raises:
        SetNotFound: it has none.
    """
    if reference.id is not None:
        found = await connection.execute(_BY_ID, {"id": reference.id, "account_id": account_id})
    elif reference.version is None:
        found = await connection.execute(_BY_NAME, {"name": reference.name, "account_id": account_id})
    else:
        values = {"name": reference.name, "version": reference.version, "account_id": account_id}
        found = await connection.execute(_BY_VERSION, values)
    row = found.one_or_none()
    if row is None:
        raise SetNotFound(str(reference))
    return set_of(row)


async def find(engine: AsyncEngine, account_id: int, reference: Reference) -> SetRecord:
    """As `find_on`."""
    async with engine.connect() as connection:
        return await find_on(connection, account_id, reference)


async def find_with_files(
    engine: AsyncEngine, account_id: int, reference: Reference
) -> tuple[SetRecord, list[FileRecord]]:
    """A set and its files, in the order of their declaration.

    Raises:
        SetNotFound: the account has no such set.
    """
    async with engine.connect() as connection:
        record = await find_on(connection, account_id, reference)
        return record, await files_on(connection, record.id)


async def files_on(connection: AsyncConnection, dataset_id: uuid.UUID) -> list[FileRecord]:
    """The files of a set."""
    return [FileRecord(**row) for row in (await connection.execute(_FILES, {"id": dataset_id})).mappings()]


async def file_of(engine: AsyncEngine, dataset_id: uuid.UUID, path: str) -> FileRecord | None:
    """A file of a set; None if it has none of this name."""
    async with engine.connect() as connection:
        row = (await connection.execute(_FILE, {"id": dataset_id, "path": path})).mappings().one_or_none()
        return None if row is None else FileRecord(**row)


async def page(
    engine: AsyncEngine, account_id: int, which: Filter, after: tuple[datetime, uuid.UUID] | None, at_most: int
) -> Sequence[SetRecord]:
    """The newest sets of an account, starting after the sort key of the page before."""
    conditions = ["d.account_id = :account_id"]
    values: dict[str, Any] = {"account_id": account_id, "at_most": at_most}
    for name in ("state", "type", "name"):
        if (wanted := getattr(which, name)) is not None:
            conditions.append(f"d.{name} = :{name}")
            values[name] = str(wanted)
    if after is not None:
        conditions.append("(d.created_at, d.id) < (:last_at, :last_id)")
        values |= {"last_at": after[0], "last_id": after[1]}
    query = text(f"""
        SELECT {COLUMNS} FROM datasets d WHERE {" AND ".join(conditions)}
        ORDER BY d.created_at DESC, d.id DESC LIMIT :at_most
    """)  # noqa: S608  constants and names of parameters
    async with engine.connect() as connection:
        return [set_of(row) for row in await connection.execute(query, values)]


async def report_of(engine: AsyncEngine, dataset_id: uuid.UUID) -> bytes | None:
    """The report on a set as JSON; None before its validation has ended."""
    async with engine.connect() as connection:
        found: bytes | None = await connection.scalar(_REPORT, {"id": dataset_id})
        return found


async def object_of(engine: AsyncEngine, dataset_id: uuid.UUID, kind: Kind) -> str | None:
    """The key of the object of this kind that was made for a set; None without one."""
    async with engine.connect() as connection:
        found: str | None = await connection.scalar(_OBJECT, {"id": dataset_id, "kind": kind.value})
        return found


async def used_bytes(connection: AsyncConnection, account_id: int) -> int:
    """Bytes that count against an account."""
    return int(await connection.scalar(_USED, {"account_id": account_id}) or 0)
