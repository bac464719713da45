"""Custom indicators in Postgres: one expression per account and name. Writers of one account take turns."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.indicators.store.tables import CustomIndicator
from luna_serving.wire.conditions import Conditions
from luna_store.accounts.accounts import AccountNotFound
from luna_store.audit.actors import Actor, acting_as
from luna_store.platform.uuid7 import uuid7

# A fixed number: "indi" in ASCII. The other half of the lock's key is the account.
WRITERS_LOCK = 0x696E6469


class IndicatorNotFound(Exception):
    """The account has no indicator of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no custom indicator {name!r}.")


class IndicatorChanged(Exception):
    """The stored indicator is not the expected one; read it and decide again."""

    def __init__(self, name: str, *, exists: bool) -> None:
        super().__init__(f"The indicator {name!r} {'is another revision' if exists else 'does not exist'}.")


class IndicatorLimitReached(Exception):
    """The account's limit on custom indicators is reached; delete one."""


@dataclass(frozen=True, slots=True)
class StoredIndicator:
    """A custom indicator."""

    name: str
    expression: str
    revision: uuid.UUID
    created_at: datetime
    changed_at: datetime


class CustomIndicators:
    """The repository. Does not own the engine."""

    def __init__(self, engine: AsyncEngine, *, most: int) -> None:
        """Wire it; an account may keep `most` indicators."""
        self._engine = engine
        self._most = most

    async def put(
        self,
        account_id: int,
        name: str,
        expression: str,
        expected: Conditions[uuid.UUID] | None = None,
        by: Actor | None = None,
    ) -> tuple[StoredIndicator, bool]:
        """Store an expression, for the audit log `by` this actor; the same one again changes nothing.

        Returns:
            What is stored, and whether it is new.

        Raises:
            AccountNotFound: there is no such account (any more).
            IndicatorChanged: the stored one is not the expected one.
            IndicatorLimitReached: the account may keep no more.
        """
        try:
            async with self._engine.begin() as connection:
                await _lock(connection, account_id)
                found = await _row(connection, account_id, name)
                if expected is not None and not expected.met_by(found.revision if found else None):
                    raise IndicatorChanged(name, exists=found is not None)
                if found is not None and found.expression == expression:
                    return _stored(found), False
                await acting_as(connection, by)
                if found is None:
                    await self._require_room(connection, account_id)
                    row = {"account_id": account_id, "name": name, "expression": expression, "revision": uuid7()}
                    await connection.execute(insert(CustomIndicator).values(**row))
                else:
                    await connection.execute(
                        _of(update(CustomIndicator), account_id, name).values(
                            expression=expression, revision=uuid7(), changed_at=func.now()
                        )
                    )
                row_now = await _row(connection, account_id, name)
                assert row_now is not None  # noqa: S101  it was written in this transaction
                return _stored(row_now), found is None
        except IntegrityError as e:
            raise AccountNotFound(account_id) from e

    async def get(self, account_id: int, name: str) -> StoredIndicator:
        """An indicator.

        Raises:
            IndicatorNotFound: there is none.
        """
        async with self._engine.connect() as connection:
            row = await _row(connection, account_id, name)
        if row is None:
            raise IndicatorNotFound(name)
        return _stored(row)

    async def page(self, account_id: int, *, limit: int, after: str = "") -> list[StoredIndicator]:
        """Indicators by name, starting after a name."""
        table = CustomIndicator.__table__
        query = (
            select(table)
            .where(CustomIndicator.account_id == account_id, CustomIndicator.name.collate("C") > after)
            .order_by(CustomIndicator.name.collate("C"))
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def texts(self, account_id: int, names: Sequence[str] | Collection[str]) -> Mapping[str, str]:
        """The expressions of some names; those that there are not are absent."""
        query = select(CustomIndicator.name, CustomIndicator.expression).where(
            CustomIndicator.account_id == account_id, CustomIndicator.name.in_(list(names))
        )
        async with self._engine.connect() as connection:
            return {row.name: row.expression for row in await connection.execute(query)}

    async def delete(
        self, account_id: int, name: str, expected: Conditions[uuid.UUID] | None = None, by: Actor | None = None
    ) -> None:
        """Remove an indicator, for the audit log `by` this actor.

        Raises:
            IndicatorChanged: the stored one is not the expected one.
            IndicatorNotFound: there is none.
        """
        async with self._engine.begin() as connection:
            await _lock(connection, account_id)
            found = await _row(connection, account_id, name)
            if expected is not None and not expected.met_by(found.revision if found else None):
                raise IndicatorChanged(name, exists=found is not None)
            if found is None:
                raise IndicatorNotFound(name)
            await acting_as(connection, by)
            await connection.execute(_of(delete(CustomIndicator), account_id, name))

    async def _require_room(self, connection: AsyncConnection, account_id: int) -> None:
        count = select(func.count()).where(CustomIndicator.account_id == account_id)
        if (await connection.execute(count)).scalar_one() >= self._most:
            raise IndicatorLimitReached(
                f"The account has {self._most} custom indicators, which is its limit. Delete one."
            )


async def _lock(connection: AsyncConnection, account_id: int) -> None:
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(:indicators, :account)"), {"indicators": WRITERS_LOCK, "account": account_id}
    )


async def _row(connection: AsyncConnection, account_id: int, name: str) -> Row[Any] | None:
    query = _of(select(CustomIndicator.__table__), account_id, name)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


def _of(statement: Any, account_id: int, name: str) -> Any:  # noqa: ANN401  a statement with a where
    return statement.where(CustomIndicator.account_id == account_id, CustomIndicator.name == name)


def _stored(row: Row[Any]) -> StoredIndicator:
    return StoredIndicator(row.name, row.expression, row.revision, row.created_at, row.changed_at)
