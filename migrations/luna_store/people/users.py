"""Users in Postgres. A change that ends access returns the accounts whose Redis keys have to be rebuilt."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.rows import mark_stale
from luna_store.audit.actors import Actor, acting_as
from luna_store.people.emails import normalised
from luna_store.people.tables import Session
from luna_store.people.tables import User as UserTable


class UserExists(Exception):
    """The email address is a user's; change that user instead."""

    def __init__(self, email: str) -> None:
        super().__init__(f"There is already a user {email}.")


class UserNotFound(Exception):
    """No user has this email address."""

    def __init__(self, email: object) -> None:
        super().__init__(f"There is no user {email}.")


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in."""

    id: uuid.UUID
    email: str
    password_hash: str | None
    disabled_at: datetime | None
    created_at: datetime

    def __repr__(self) -> str:
        return f"User({self.email})"


COLUMNS = [getattr(UserTable, field.name) for field in fields(User)]


class Users:
    """The repository of users. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, email: str, password_hash: str | None) -> User:
        """Make a user.

        Raises:
            InvalidEmail: it is no address.
            UserExists: there is one.
        """
        async with self._engine.begin() as connection:
            made = await created(connection, normalised(email), password_hash)
        if made is None:
            raise UserExists(normalised(email))
        return made

    async def find(self, email: str) -> User | None:
        """The user of a normalised address."""
        async with self._engine.connect() as connection:
            return await find(connection, UserTable.email == email)

    async def get(self, user_id: uuid.UUID) -> User | None:
        """The user of an id."""
        async with self._engine.connect() as connection:
            return await find(connection, UserTable.id == user_id)

    async def list_all(self) -> list[User]:
        """All users, by address."""
        async with self._engine.connect() as connection:
            return [User(*row) for row in await connection.execute(select(*COLUMNS).order_by(UserTable.email))]

    async def rehash(self, user_id: uuid.UUID, before: str, after: str) -> None:
        """Replace the hash of the same password, unless the password has changed since `before` was read."""
        same = (UserTable.id == user_id) & (UserTable.password_hash == before)
        async with self._engine.begin() as connection:
            await connection.execute(update(UserTable).where(same).values(password_hash=after))

    async def set_password(
        self, email: str, password_hash: str, *, keep: uuid.UUID | None = None, by: Actor | None = None
    ) -> tuple[uuid.UUID, list[int]]:
        """Set a password and end the person's sessions other than `keep`; for the audit log `by` an actor.

        Returns:
            The user's id, and the accounts to rebuild.

        Raises:
            UserNotFound: there is none.
        """
        async with self._engine.begin() as connection:
            user_id = await self._id(connection, email)
            stale = await end_sessions(connection, user_id, keep=keep)
            await acting_as(connection, by)
            await store_password(connection, user_id, password_hash)
            return user_id, stale

    async def set_disabled(self, email: str, *, disabled: bool) -> list[int]:
        """Bar a person from signing in, ending all sessions, or admit them again.

        Returns:
            The accounts to rebuild.

        Raises:
            UserNotFound: there is none.
        """
        async with self._engine.begin() as connection:
            user_id = await self._id(connection, email)
            stale = await end_sessions(connection, user_id) if disabled else []
            since = func.coalesce(UserTable.disabled_at, func.now()) if disabled else None
            await connection.execute(update(UserTable).where(UserTable.id == user_id).values(disabled_at=since))
            return stale

    @staticmethod
    async def _id(connection: AsyncConnection, email: str) -> uuid.UUID:
        user_id = await connection.scalar(select(UserTable.id).where(UserTable.email == normalised(email)))
        if user_id is None:
            raise UserNotFound(email)
        return user_id


async def created(connection: AsyncConnection, email: str, password_hash: str | None) -> User | None:
    """Insert a user of a normalised address; None if there is one."""
    values: dict[str, Any] = {"email": email, "password_hash": password_hash}
    if password_hash is not None:
        values["password_changed_at"] = func.now()
    made = insert(UserTable).values(**values).on_conflict_do_nothing().returning(*COLUMNS)
    row: Sequence[Any] | None = (await connection.execute(made)).one_or_none()
    return User(*row) if row else None


async def find(connection: AsyncConnection, which: Any) -> User | None:  # noqa: ANN401  a SQL expression
    """The only user that fulfils a condition."""
    row: Sequence[Any] | None = (await connection.execute(select(*COLUMNS).where(which))).one_or_none()
    return User(*row) if row else None


async def store_password(connection: AsyncConnection, user_id: uuid.UUID, password_hash: str) -> None:
    """Set the hash of a new password."""
    values = {"password_hash": password_hash, "password_changed_at": func.now()}
    await connection.execute(update(UserTable).where(UserTable.id == user_id).values(**values))


async def end_sessions(connection: AsyncConnection, user_id: uuid.UUID, *, keep: uuid.UUID | None = None) -> list[int]:
    """End the live sessions of a person other than `keep`; returns their accounts, locked and marked stale."""
    live = (Session.user_id == user_id) & Session.ended_at.is_(None) & Session.id.is_distinct_from(keep)
    accounts = list(await connection.scalars(select(Session.account_id).where(live).distinct()))
    for account_id in sorted(accounts):
        await mark_stale(connection, account_id)
    await connection.execute(update(Session).where(live).values(ended_at=func.now()))
    return accounts
