"""Accounts and their keys in Postgres: the changes of the operator and the command line.

Every change marks the account's Redis keys stale in the same transaction. `AccountCache.rebuild` after it makes the
change take effect at once; otherwise settlement does so within a second.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store import grants, limits
from luna_store.accounts import rows, tables
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.accounts.rows import end_account, insert_key, live, mark_stale, purge_ledger
from luna_store.accounts.window_rows import running_since
from luna_store.grants import Allowed
from luna_store.quota.windows import QuotaWindow


class AccountExists(Exception):
    """The name is taken; choose another name, or change that account."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already an account named {name!r}.")


class AccountNotFound(Exception):
    """No account has this id or name."""

    def __init__(self, reference: object) -> None:
        super().__init__(f"There is no account {reference!r}.")


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """What an account may do. Field names are those of the table."""

    account_name: str
    display_name: str = ""
    tier: str | None = None
    quota_limit: int = tables.DEFAULT_QUOTA_LIMIT
    """Units (series) per window."""
    quota_window: QuotaWindow = QuotaWindow.LIFETIME
    rate_per_second: float = tables.DEFAULT_RATE_PER_SECOND
    rate_burst: int = tables.DEFAULT_RATE_BURST
    allowed: Allowed = field(default_factory=grants.everything)
    expires_at: datetime | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    """The limits that are set, by name; see `luna_store.limits`."""
    uid: uuid.UUID | None = None

    def __post_init__(self) -> None:
        """Check what the table's constraints check, with messages for people.

        Raises:
            ValueError: names the field and the cure.
        """
        if not self.account_name or len(self.account_name) > 317:
            raise ValueError("account_name must be of the form <namespace>/<name>, at most 317 characters.")
        if not 0 <= self.quota_limit < 2**31:
            raise ValueError(f"quota_limit must lie between 0 and {2**31 - 1}, not {self.quota_limit}.")
        if not tables.RATE_LOWEST <= self.rate_per_second <= tables.RATE_HIGHEST:
            span = f"between {tables.RATE_LOWEST:g} and {tables.RATE_HIGHEST:g}"
            raise ValueError(f"rate_per_second must lie {span}, not {self.rate_per_second:g}.")
        if not 1 <= self.rate_burst <= tables.RATE_HIGHEST:
            raise ValueError(f"rate_burst must lie between 1 and {tables.RATE_HIGHEST:g}, not {self.rate_burst}.")
        limits.validated(self.limits)
        grants.validated(self.allowed)

    def columns(self) -> dict[str, Any]:
        """The fields as the table's columns hold them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {"allowed": grants.validated(self.allowed), "limits": dict(self.limits)}
        return values | {"quota_window": str(self.quota_window)}


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """The public facts about a key."""

    prefix: str
    created_at: datetime
    expires_at: datetime | None

    @property
    def state(self) -> str:
        """Active, or Retiring during a rotation's overlap."""
        return "Active" if self.expires_at is None else "Retiring"


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """An account as Postgres has it."""

    id: int
    account_name: str
    display_name: str
    tier: str | None
    state: str
    quota_limit: int
    quota_used: int
    quota_window: QuotaWindow
    window_started_at: datetime
    rate_per_second: float
    rate_burst: int
    allowed: dict[str, list[str]]
    expires_at: datetime | None
    limits: dict[str, int]
    """The limits that were set; `luna_store.limits.in_force` adds the defaults."""
    created_at: datetime
    keys: list[KeyInfo]

    @property
    def allowed_models(self) -> list[str]:
        """The names of the Kalman capability in `allowed`."""
        return grants.names_of(self.allowed, grants.MODELS)


class Accounts:
    """The repository of accounts. Does not own the engine or the peppers."""

    def __init__(self, engine: AsyncEngine, peppers: Peppers) -> None:
        self._engine = engine
        self._peppers = peppers

    async def create(self, spec: AccountSpec) -> tuple[int, ApiKey]:
        """Make an account with its first key. The key is returned here only.

        Raises:
            AccountExists: the name is taken.
        """
        values = spec.columns() | {"window_started_at": running_since(spec.quota_window)}
        try:
            async with self._engine.begin() as connection:
                account_id = await connection.scalar(
                    insert(tables.Account).values(**values).returning(tables.Account.id)
                )
                assert account_id is not None  # noqa: S101  INSERT ... RETURNING gives a row or raises
                return account_id, await insert_key(connection, self._peppers, account_id)
        except IntegrityError as e:
            raise AccountExists(spec.account_name) from e

    async def get(self, reference: int | str) -> AccountInfo:
        """An account by its id or its name.

        Raises:
            AccountNotFound: there is none.
        """
        async with self._engine.connect() as connection:
            row = await _find(connection, reference, lock=False)
            keys = await connection.execute(
                select(tables.ApiKey.prefix, tables.ApiKey.created_at, tables.ApiKey.expires_at)
                .where(tables.ApiKey.account_id == row.id, live())
                .order_by(tables.ApiKey.id.desc())
            )
            return AccountInfo(
                **{name: getattr(row, name) for name in AccountInfo.__slots__ if name not in {"keys", "quota_window"}},
                quota_window=QuotaWindow(row.quota_window),
                keys=[KeyInfo(*key) for key in keys],
            )

    async def exists(self, account_id: int) -> bool:
        """Whether there is an account with this id."""
        async with self._engine.connect() as connection:
            found = await connection.scalar(select(tables.Account.id).where(tables.Account.id == account_id))
            return found is not None

    async def has_session(self, account_id: int, principal: str) -> bool:
        """Whether a person's session with the account is live; the principal names the session and its role."""
        session = rows.LIVE_SESSIONS.c
        found = select(session.principal).where(session.account_id == account_id, session.principal == principal)
        async with self._engine.connect() as connection:
            return await connection.scalar(found.where(session.expires_at > func.now())) is not None

    async def names(self) -> list[tuple[int, str, str]]:
        """Id, name and state of every account, by id."""
        columns = (tables.Account.id, tables.Account.account_name, tables.Account.state)
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(*columns).order_by(columns[0]))
            return [(row.id, row.account_name, row.state) for row in rows]

    async def update(self, reference: int | str, **changes: Any) -> int:  # noqa: ANN401  columns of `Account`
        """Change columns of an account; returns its id.

        Raises:
            AccountNotFound: there is none.
        """
        async with self._engine.begin() as connection:
            row = await _find(connection, reference)
            await connection.execute(
                update(tables.Account).where(tables.Account.id == row.id).values(**changes, cache_stale=True)
            )
            return int(row.id)

    async def rotate_key(self, reference: int | str, overlap: timedelta) -> tuple[int, ApiKey]:
        """Issue a new key; the present keys stay valid for `overlap` and then end.

        Raises:
            AccountNotFound: there is none.
        """
        async with self._engine.begin() as connection:
            row = await _find(connection, reference)
            await connection.execute(
                update(tables.ApiKey)
                .where(tables.ApiKey.account_id == row.id, live())
                # A key that is retiring already keeps its end.
                .values(expires_at=func.least(tables.ApiKey.expires_at, func.now() + overlap))
            )
            await mark_stale(connection, row.id)
            return int(row.id), await insert_key(connection, self._peppers, row.id)

    async def revoke_key(self, prefix: str) -> int:
        """End a key now; returns its account's id.

        Raises:
            AccountNotFound: no account has a key with this prefix.
        """
        of_prefix = tables.ApiKey.prefix == prefix
        async with self._engine.begin() as connection:
            account_id = await connection.scalar(select(tables.ApiKey.account_id).where(of_prefix))
            if account_id is None:
                raise AccountNotFound(prefix)
            # The account's row is locked first everywhere: the other order would deadlock with a rotation.
            await mark_stale(connection, account_id)
            await connection.execute(
                update(tables.ApiKey)
                .where(of_prefix)
                .values(revoked_at=func.coalesce(tables.ApiKey.revoked_at, func.now()))
            )
            return int(account_id)

    async def delete(self, reference: int | str, *, retain: bool) -> tuple[int, list[str]]:
        """End an account: keep row and ledger, revoked (`retain`), or remove both.

        Returns:
            Its id, and the digests whose Redis index entries have to be removed.

        Raises:
            AccountNotFound: there is none.
        """
        if not retain:
            async with self._engine.connect() as connection:
                row = await _find(connection, reference, lock=False)
            await purge_ledger(self._engine, row.id)
        async with self._engine.begin() as connection:
            row = await _find(connection, reference)
            return int(row.id), await end_account(connection, row.id, retain=retain)

    async def owner(self, key: ApiKey) -> int | None:
        """The account whose live key this is; digests are compared in constant time. None for an unknown key."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    select(tables.ApiKey.account_id, tables.ApiKey.digest, tables.ApiKey.pepper_id).where(
                        tables.ApiKey.prefix == key.prefix, live()
                    )
                )
            ).one_or_none()
        if row is None or not self._peppers.matches(key, row.digest, row.pepper_id):
            return None
        return int(row.account_id)


async def _find(connection: AsyncConnection, reference: int | str, *, lock: bool = True) -> Row[Any]:
    column = tables.Account.id if isinstance(reference, int) else tables.Account.account_name
    query = select(tables.Account.__table__).where(column == reference)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise AccountNotFound(reference)
    return row
