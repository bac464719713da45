"""Keys that admins of an account issue and end themselves, over HTTP."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.accounts import AccountNotFound, KeyInfo
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.accounts.rows import insert_key, live, mark_stale
from luna_store.accounts.tables import Account
from luna_store.accounts.tables import ApiKey as KeyTable
from luna_store.audit.actors import Actor, acting_as

# Live keys of an account: each is part of what every rebuild writes.
MOST_KEYS: Final = 20

Also = Callable[[AsyncConnection, KeyInfo], Awaitable[None]]
"""What else the transaction does that issues a key."""


class KeysManaged(Exception):
    """The account belongs to a custom resource, so the operator issues its keys and keeps them in a Secret."""

    def __init__(self, account_name: str) -> None:
        super().__init__(f"The keys of {account_name} are issued by the operator.")
        self.account_name = account_name


class KeyNotFound(Exception):
    """The account has no live key with this prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"The account has no key {prefix} that is valid now.")


class TooManyKeys(Exception):
    """The account has as many live keys as it may have; end one first."""


class OwnKeys:
    """Changes of an account's keys by its admins. Does not own the engine or the peppers."""

    def __init__(self, engine: AsyncEngine, peppers: Peppers) -> None:
        self._engine = engine
        self._peppers = peppers

    async def issue(self, account_id: int, overlap: timedelta, also: Also, by: Actor) -> tuple[KeyInfo, ApiKey]:
        """Issue a key; the present ones end after `overlap`, or at their end if that is earlier.

        The account then has to be rebuilt. The audit log shows the change as made `by` an actor.

        Raises:
            AccountNotFound: there is no such account, or it was ended.
            KeysManaged, TooManyKeys: nothing changed.
        """
        of_account = KeyTable.account_id == account_id
        async with self._engine.begin() as connection:
            uid, name = await _lock(connection, account_id)
            await acting_as(connection, by)
            if uid is not None:
                raise KeysManaged(name)
            ends = func.least(KeyTable.expires_at, func.now() + overlap)
            await connection.execute(update(KeyTable).where(of_account, live()).values(expires_at=ends))
            left = await connection.scalar(select(func.count()).where(of_account, live()))
            if (left or 0) >= MOST_KEYS:
                raise TooManyKeys
            key = await insert_key(connection, self._peppers, account_id)
            created_at: datetime = (await connection.execute(select(func.now()))).scalar_one()
            info = KeyInfo(key.prefix, created_at, None)
            await also(connection, info)
            return info, key

    async def revoke(self, account_id: int, prefix: str, by: Actor) -> None:
        """End a key of the account now, for the audit log `by` an actor; the account then has to be rebuilt.

        Raises:
            AccountNotFound: there is no such account, or it was ended.
            KeyNotFound: nothing changed.
        """
        which = KeyTable.account_id == account_id, KeyTable.prefix == prefix, live()
        async with self._engine.begin() as connection:
            await _lock(connection, account_id)
            await acting_as(connection, by)
            ended = await connection.execute(update(KeyTable).where(*which).values(revoked_at=func.now()))
            if not ended.rowcount:
                raise KeyNotFound(prefix)


async def _lock(connection: AsyncConnection, account_id: int) -> tuple[uuid.UUID | None, str]:
    """Lock the account's row, before its keys as everywhere, and mark it stale."""
    if not await mark_stale(connection, account_id, Account.state != "revoked"):
        raise AccountNotFound(account_id)
    query = select(Account.uid, Account.account_name).where(Account.id == account_id)
    uid, name = (await connection.execute(query)).one()
    return uid, name
