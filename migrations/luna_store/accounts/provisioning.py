"""Accounts that belong to custom resources: what the operator reads and changes.

Every change commits alone and can be resumed wherever it was interrupted. A new key is pending until its Secret is
written. After an interruption, the next run finds a pending key: it confirms the key if the Secret holds it, and issues
another if not.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.api_keys import ApiKey, MalformedKey, Peppers
from luna_store.accounts.desired import AccountRow, DesiredAccount, KeyRow, UsageRow, differences
from luna_store.accounts.rows import end_account, insert_key, live, mark_stale, purge_ledger
from luna_store.accounts.tables import Account
from luna_store.accounts.tables import ApiKey as KeyTable
from luna_store.accounts.window_rows import running_since, used_since
from luna_store.quota.windows import QuotaWindow

__all__ = [
    "AccountRow",
    "DesiredAccount",
    "KeyGone",
    "KeyRow",
    "NameTaken",
    "Provisioning",
    "UsageRow",
    "differences",
]

ACCOUNT_FIELDS = [f.name for f in fields(AccountRow) if f.name != "keys"]
ACCOUNT_COLUMNS = [getattr(Account, name) for name in ACCOUNT_FIELDS]
KEY_COLUMNS = [getattr(KeyTable, f.name) for f in fields(KeyRow)]

# Columns that Redis does not have.
NOT_CACHED = frozenset({"uid", "account_name", "display_name", "tier"})

# How long an operator may be down between writing a Secret and confirming its key without locking its owner out. Only
# that Secret holds the pending key, and the next key that is issued ends it.
PENDING_LIFE = timedelta(days=1)


class NameTaken(Exception):
    """Another account that is not revoked has the name; delete or rename that account."""

    def __init__(self, account_name: str, account_id: int) -> None:
        super().__init__(
            f"Account {account_id} has the name {account_name!r} already and belongs to no custom resource. "
            f"End it (`luna account delete {account_id}`), or choose another name."
        )
        self.account_name = account_name
        self.account_id = account_id


class KeyGone(Exception):
    """The key does not exist, was revoked, or is retiring; issue another."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"The key {prefix} cannot become the current one; issue another.")


class Provisioning:
    """The repository of such accounts. Does not own the engine or the peppers."""

    def __init__(self, engine: AsyncEngine, peppers: Peppers) -> None:
        self._engine = engine
        self._peppers = peppers

    async def unknown_peppers(self) -> list[str]:
        """Names of the peppers under which live keys were made and which this process does not have."""
        used = (
            select(KeyTable.pepper_id)
            .join(Account, Account.id == KeyTable.account_id)
            .where(Account.uid.is_not(None), live())
            .distinct()
        )
        async with self._engine.connect() as connection:
            return sorted(set(await connection.scalars(used)) - set(self._peppers.by_name))

    async def page(self, after_id: int, limit: int) -> list[AccountRow]:
        """The next accounts that have a uid, by id."""
        return await self._read(Account.uid.is_not(None) & (Account.id > after_id), limit)

    async def usage_page(self, after_id: int, limit: int) -> list[UsageRow]:
        """As `page`, for usage only."""
        query = (
            select(*(getattr(Account, name) for name in UsageRow._fields))
            .where(Account.uid.is_not(None), Account.id > after_id)
            .order_by(Account.id)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            found = await connection.execute(query)
            return [UsageRow(*row)._replace(quota_window=QuotaWindow(row.quota_window)) for row in found]

    async def find(self, uid: uuid.UUID) -> AccountRow | None:
        """The account of a custom resource."""
        return next(iter(await self.find_many([uid])), None)

    async def find_many(self, uids: Sequence[uuid.UUID]) -> list[AccountRow]:
        """The accounts of a few hundred custom resources, by id; resources without an account are left out."""
        return await self._read(Account.uid.in_(uids))

    async def find_named(self, account_name: str) -> AccountRow | None:
        """The account of this name, made by a resource or on the command line."""
        return next(iter(await self._read(Account.account_name == account_name)), None)

    async def apply(self, desired: DesiredAccount, seen: AccountRow | None = None) -> AccountRow:
        """Make the row as desired; a row that already is remains untouched.

        An account of the same name whose resource is gone (deleted and retained, or lost with its cluster) is
        adopted: it keeps its ledger, its used quota, and the keys that were not revoked.

        Args:
            desired: the account.
            seen: the resource's row as the caller saw it; if it was ended since, it is not restored.

        Raises:
            NameTaken: an account without a resource has the name and is not revoked.
            AccountNotFound: the row that was seen was ended since.
        """
        while True:
            async with self._engine.begin() as connection:
                account_id = await self._write(connection, desired, seen)
                if account_id is not None:
                    return (await _rows(connection, Account.id == account_id))[0]
            # Another transaction inserted the row: read it again.

    @staticmethod
    async def _write(connection: AsyncConnection, desired: DesiredAccount, seen: AccountRow | None) -> int | None:
        either = or_(Account.uid == desired.uid, Account.account_name == desired.account_name)
        locked = select(Account.__table__).where(either).order_by(Account.id).with_for_update()
        found = (await connection.execute(locked)).all()
        row = next((r for r in found if r.uid == desired.uid), None)
        if seen is not None and (row is None or (row.state == "revoked" and seen.state != "revoked")):
            # Another replica ended it: the resource is deleted, and the caller does not know yet.
            raise AccountNotFound(desired.account_name)
        named = next((r for r in found if r.account_name == desired.account_name), None)
        if row is None and named is not None and (named.uid is not None or named.state == "revoked"):
            # A cluster has one Account per name: the resource that had this row before is gone.
            row = named
        if named is not None and named is not row:
            raise NameTaken(desired.account_name, named.id)
        start = running_since(desired.quota_window)
        if row is None:
            values = desired.columns() | {"window_started_at": start}
            made = insert(Account).values(**values).on_conflict_do_nothing().returning(Account.id)
            return await connection.scalar(made)
        changes = differences(desired, row)
        if "quota_window" in changes:
            changes |= {"window_started_at": start, "quota_used": used_since(row.id, start)}
        if changes.keys() - NOT_CACHED:
            changes["cache_stale"] = True
        if changes:
            await connection.execute(update(Account).where(Account.id == row.id).values(**changes))
        return int(row.id)

    async def issue(self, account_id: int, *, rotation_requested_at: datetime | None = None) -> ApiKey:
        """Issue a key that is valid at once and ends unless it is confirmed; earlier pending keys end now.

        Raises:
            AccountNotFound: there is none, or it was ended.
        """
        async with self._engine.begin() as connection:
            if not await mark_stale(connection, account_id, Account.state != "revoked"):
                raise AccountNotFound(account_id)
            await connection.execute(
                update(KeyTable)
                .where(KeyTable.account_id == account_id, KeyTable.pending, KeyTable.revoked_at.is_(None))
                .values(revoked_at=func.now())
            )
            return await insert_key(
                connection,
                self._peppers,
                account_id,
                pending=True,
                expires_at=func.now() + PENDING_LIFE,
                rotation_requested_at=rotation_requested_at,
            )

    async def confirm(self, account_id: int, prefix: str, *, overlap: timedelta) -> None:
        """Make a pending key the current one; the others end after `overlap`, or at their end if that is earlier.

        Confirming the current key again changes nothing.

        Raises:
            KeyGone: it was revoked, is retiring, or does not exist.
        """
        of_account = KeyTable.account_id == account_id
        async with self._engine.begin() as connection:
            await mark_stale(connection, account_id)
            confirmed = await connection.execute(
                update(KeyTable)
                .where(of_account, KeyTable.prefix == prefix, KeyTable.revoked_at.is_(None))
                .where(KeyTable.pending | KeyTable.expires_at.is_(None))
                .values(pending=False, expires_at=None)
            )
            if not confirmed.rowcount:
                raise KeyGone(prefix)
            await connection.execute(
                update(KeyTable)
                .where(of_account, KeyTable.prefix != prefix, live())
                .values(expires_at=func.least(KeyTable.expires_at, func.now() + overlap))
            )

    async def withdraw(self, account_id: int, prefix: str) -> str | None:
        """Remove a pending key whose Secret was refused, so that nobody has it.

        Returns:
            Its digest, for `AccountCache.forget_key`; without that call the entry in Redis ends after `PENDING_LIFE`.
            None if the key is not pending.
        """
        of_key = KeyTable.account_id == account_id, KeyTable.prefix == prefix, KeyTable.pending
        async with self._engine.begin() as connection:
            await mark_stale(connection, account_id)
            return await connection.scalar(delete(KeyTable).where(*of_key).returning(KeyTable.digest))

    async def end(self, uid: uuid.UUID, retain: bool) -> tuple[int, list[str]] | None:
        """End a resource's account: keep row and ledger, revoked (`retain`), or remove both.

        Returns:
            Its id and the digests of its keys, for `AccountCache.rebuild` or `forget`; None if there is no row.
        """
        of_resource = select(Account.id).where(Account.uid == uid)
        if not retain:
            async with self._engine.connect() as connection:
                account_id = await connection.scalar(of_resource)
            if account_id is not None:
                await purge_ledger(self._engine, account_id)
        async with self._engine.begin() as connection:
            account_id = await connection.scalar(of_resource.with_for_update())
            if account_id is None:
                return None
            return account_id, await end_account(connection, account_id, retain=retain)

    def matches(self, row_key: KeyRow, secret: str) -> bool:
        """Whether a presented key is this one, compared in constant time; False for a malformed key."""
        try:
            key = ApiKey.parse(secret)
        except MalformedKey:
            return False
        return self._peppers.matches(key, row_key.digest, row_key.pepper_id)

    async def _read(self, which: ColumnElement[bool], limit: int | None = None) -> list[AccountRow]:
        async with self._engine.connect() as connection:
            # One statement, without a transaction: BEGIN and ROLLBACK would be two more round trips.
            return await _rows(await connection.execution_options(isolation_level="AUTOCOMMIT"), which, limit)


async def _rows(connection: AsyncConnection, which: ColumnElement[bool], limit: int | None = None) -> list[AccountRow]:
    """Read rows with their keys in one statement, so that both are of one instant."""
    some = select(Account.id).where(which).order_by(Account.id).limit(limit).scalar_subquery()
    query = (
        select(*ACCOUNT_COLUMNS, *KEY_COLUMNS)
        .outerjoin(KeyTable, (KeyTable.account_id == Account.id) & live())
        .where(Account.id.in_(some) if limit else which)
        .order_by(Account.id, KeyTable.id.desc())
    )
    rows: dict[int, Row[Any]] = {}
    keys: dict[int, list[KeyRow]] = {}
    for row in await connection.execute(query):
        key = KeyRow(*row[len(ACCOUNT_COLUMNS) :])
        rows.setdefault(row[0], row)
        keys.setdefault(row[0], []).extend([key] if key.prefix else [])
    return [_account(row, keys[account_id]) for account_id, row in rows.items()]


def _account(row: Row[Any], keys: Iterable[KeyRow]) -> AccountRow:
    values = dict(zip(ACCOUNT_FIELDS, row, strict=False)) | {"keys": tuple(keys)}
    values["quota_window"] = QuotaWindow(values["quota_window"])
    return AccountRow(**values)
