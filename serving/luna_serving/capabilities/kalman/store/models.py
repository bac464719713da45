"""Named models in Postgres: immutable, numbered versions of documents, which are opaque here.

The numbers of a name are never reused, not even after its deletion, so the document of (account, name, version) may be
cached without expiry. Writers of one account take turns (an advisory lock), which makes numbers and limits exact;
readers do not wait.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, text, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.kalman.store.tables import ModelVersion, NamedModel
from luna_serving.wire.conditions import Conditions
from luna_store.accounts.accounts import AccountNotFound
from luna_store.audit.actors import Actor, acting_as

# A label of RFC 1123, as in Kubernetes; the table has the same check.
NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
MAX_VERSION: Final = 2**31 - 1
# A fixed number: "mode" in ASCII. The other half of the lock's key is the account.
WRITERS_LOCK = 0x6D6F6465
# About the bytes that Postgres needs per version in addition to its document, so that tiny documents count too.
VERSION_OVERHEAD_BYTES = 128
# Rows of deleted names keep their numbers; without a bound, creating and deleting names would fill the table.
NAMES_PER_MODEL = 10


class ModelNotFound(Exception):
    """The account has no such model or version."""

    def __init__(self, name: str, version: int | None) -> None:
        which = f"model {name!r}" if version is None else f"version {version} of model {name!r}"
        super().__init__(f"There is no {which}.")
        self.name = name
        self.version = version


class ModelChanged(Exception):
    """The latest version is not the expected one; read it and decide again."""

    def __init__(self, name: str, latest: int | None) -> None:
        stands = "does not exist" if latest is None else f"is at version {latest}"
        super().__init__(f"The model {name!r} {stands}.")
        self.latest = latest


class ModelLimitReached(Exception):
    """The account's limit on stored models is reached; delete a model."""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Limits of one account."""

    models: int
    bytes: int
    """Bytes of all versions' documents, with `VERSION_OVERHEAD_BYTES` for each."""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A version without its document."""

    name: str
    version: int
    kind: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A version and its document: the JSON as it was put."""

    info: VersionInfo
    document: str


class Models:
    """The repository of named models. Does not own the engine."""

    def __init__(self, engine: AsyncEngine, limits: ModelLimits) -> None:
        self._engine = engine
        self._limits = limits

    async def put(
        self,
        account_id: int,
        name: str,
        kind: str,
        document: str,
        expected: Conditions[int] | None = None,
        by: Actor | None = None,
    ) -> tuple[StoredModel, bool]:
        """Make `document` the latest version, for the audit log `by` this actor; no change if it is the latest already.

        Returns:
            The latest version, and whether the model is new.

        Raises:
            AccountNotFound: there is no such account (any more).
            ModelChanged: the latest version is not the expected one.
            ModelLimitReached: a limit of the account is reached.
        """
        try:
            async with self._engine.begin() as connection:
                found = await _locked(connection, account_id, name)
                latest = _latest(found)
                if expected is not None and not expected.met_by(latest):
                    raise ModelChanged(name, latest)
                if latest is not None:
                    stored = _stored(await _version(connection, account_id, name, latest))
                    if stored.document == document:
                        return stored, False
                await acting_as(connection, by)
                weight = len(document.encode()) + VERSION_OVERHEAD_BYTES
                await self._require_room(connection, account_id, weight, is_new=latest is None, is_name=found is None)
                version = await _count_up(connection, account_id, name, weight, found)
                await connection.execute(
                    insert(ModelVersion).values(
                        account_id=account_id, name=name, version=version, kind=kind, document=document
                    )
                )
                return _stored(await _version(connection, account_id, name, version)), latest is None
        except IntegrityError as e:
            raise AccountNotFound(account_id) from e

    async def get(self, account_id: int, name: str, version: int | None = None) -> StoredModel:
        """A version, by default the latest.

        Raises:
            ModelNotFound: there is none.
        """
        async with self._engine.connect() as connection:
            query = _of_name(select(ModelVersion.__table__), account_id, name)
            query = query.order_by(ModelVersion.version.desc()).limit(1)
            if version is not None:
                query = query.where(ModelVersion.version == version)
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise ModelNotFound(name, version)
        return _stored(row)

    async def page(self, account_id: int, *, limit: int, after: str = "") -> list[VersionInfo]:
        """The latest version of each model, by name, starting after a name."""
        query = (
            select(*_INFO)
            .join(
                NamedModel,
                (NamedModel.account_id == ModelVersion.account_id)
                & (NamedModel.name == ModelVersion.name)
                & (NamedModel.last_version == ModelVersion.version),
            )
            .where(NamedModel.account_id == account_id, NamedModel.name.collate("C") > after)
            .order_by(NamedModel.name.collate("C"))
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [VersionInfo(*row) for row in await connection.execute(query)]

    async def versions(self, account_id: int, name: str, *, limit: int, before: int = MAX_VERSION) -> list[VersionInfo]:
        """The versions of a model below a number, the newest first."""
        query = _of_name(select(*_INFO), account_id, name).where(ModelVersion.version < before)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(ModelVersion.version.desc()).limit(limit))
            return [VersionInfo(*row) for row in rows]

    async def delete(
        self, account_id: int, name: str, expected: Conditions[int] | None = None, by: Actor | None = None
    ) -> None:
        """Remove all versions of a model, for the audit log `by` this actor; its numbers are not reused.

        Raises:
            ModelChanged: the latest version is not the expected one.
            ModelNotFound: there is no such model.
        """
        async with self._engine.begin() as connection:
            found = await _locked(connection, account_id, name)
            latest = _latest(found)
            if expected is not None and not expected.met_by(latest):
                raise ModelChanged(name, latest)
            if latest is None:
                raise ModelNotFound(name, None)
            await acting_as(connection, by)
            await connection.execute(_of_name(delete(ModelVersion), account_id, name))
            await connection.execute(
                update(NamedModel)
                .where(NamedModel.account_id == account_id, NamedModel.name == name)
                .values(first_version=latest + 1, stored_bytes=0)
            )

    async def spans(self, names: Collection[tuple[int, str]]) -> dict[tuple[int, str], range]:
        """The existing versions of each (account, name); names without versions are left out."""
        query = select(NamedModel.account_id, NamedModel.name, NamedModel.first_version, NamedModel.last_version).where(
            tuple_(NamedModel.account_id, NamedModel.name).in_(list(names)),
            NamedModel.first_version <= NamedModel.last_version,
        )
        async with self._engine.connect() as connection:
            return {(a, name): range(low, high + 1) for a, name, low, high in await connection.execute(query)}

    async def documents(self, versions: Collection[tuple[int, str, int]]) -> dict[tuple[int, str, int], str]:
        """The document of each (account, name, version) that exists."""
        key = (ModelVersion.account_id, ModelVersion.name, ModelVersion.version)
        query = select(*key, ModelVersion.document).where(tuple_(*key).in_(list(versions)))
        async with self._engine.connect() as connection:
            return {(a, name, version): d for a, name, version, d in await connection.execute(query)}

    async def _require_room(
        self, connection: AsyncConnection, account_id: int, weight: int, *, is_new: bool, is_name: bool
    ) -> None:
        live = NamedModel.first_version <= NamedModel.last_version
        models, names, stored = (
            await connection.execute(
                select(
                    func.count().filter(live), func.count(), func.coalesce(func.sum(NamedModel.stored_bytes), 0)
                ).where(NamedModel.account_id == account_id)
            )
        ).one()
        if is_new and models >= self._limits.models:
            raise ModelLimitReached(f"The account has {models} models, which is its limit. Delete one.")
        if is_name and names >= self._limits.models * NAMES_PER_MODEL:
            raise ModelLimitReached(
                f"The account has used {names} names, which is its limit; deleted names count, because their version "
                "numbers are never reused. Use one of them again."
            )
        if stored + weight > self._limits.bytes:
            raise ModelLimitReached(
                f"The account's models would take {stored + weight} bytes of the {self._limits.bytes} that they may. "
                "Delete one."
            )


_INFO = (ModelVersion.name, ModelVersion.version, ModelVersion.kind, ModelVersion.created_at)


def _of_name(statement: Any, account_id: int, name: str) -> Any:  # noqa: ANN401  a statement with a where
    return statement.where(ModelVersion.account_id == account_id, ModelVersion.name == name)


async def _locked(connection: AsyncConnection, account_id: int, name: str) -> Row[Any] | None:
    """Lock the account's models against other writers; returns the name's row, if it was ever used."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(:models, :account)"), {"models": WRITERS_LOCK, "account": account_id}
    )
    query = select(NamedModel.__table__).where(NamedModel.account_id == account_id, NamedModel.name == name)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


def _latest(found: Row[Any] | None) -> int | None:
    return int(found.last_version) if found is not None and found.first_version <= found.last_version else None


async def _count_up(
    connection: AsyncConnection, account_id: int, name: str, weight: int, found: Row[Any] | None
) -> int:
    """Take the name's next number."""
    if found is None:
        await connection.execute(
            insert(NamedModel).values(
                account_id=account_id, name=name, first_version=1, last_version=1, stored_bytes=weight
            )
        )
        return 1
    await connection.execute(
        update(NamedModel)
        .where(NamedModel.account_id == account_id, NamedModel.name == name)
        .values(last_version=NamedModel.last_version + 1, stored_bytes=NamedModel.stored_bytes + weight)
    )
    return int(found.last_version) + 1


async def _version(connection: AsyncConnection, account_id: int, name: str, version: int) -> Row[Any]:
    query = _of_name(select(ModelVersion.__table__), account_id, name).where(ModelVersion.version == version)
    row: Row[Any] = (await connection.execute(query)).one()
    return row


def _stored(row: Row[Any]) -> StoredModel:
    return StoredModel(VersionInfo(row.name, row.version, row.kind, row.created_at), row.document)
