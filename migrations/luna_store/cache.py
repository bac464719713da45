"""Rebuilding an account's Redis keys from Postgres: the one way in which they are ever written.

Used when Redis does not know an account, when a quota window has ended, when the account or a key changed, after
calls were booked in Postgres alone, and for every account when Redis was restarted or wiped.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from redis.asyncio import Redis
from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store import redis_keys
from luna_store.gcra import interval_us
from luna_store.ledger import Event, book
from luna_store.quota import RedisQuota
from luna_store.streams import delete_events, read_events
from luna_store.tables import Account, ApiKey
from luna_store.window_rows import roll_window as roll_window  # noqa: PLC0414  where it was found before
from luna_store.windows import QuotaWindow, milliseconds, window_end, window_seconds

# A rebuild that cannot have its account now is tried again, rather than keeping a connection waiting.
LOCK_TIMEOUT = "2s"
EVENTS_AT_ONCE = 1000


class AccountCache:
    """Keeps Redis in step with Postgres. Owns neither of the connections it is given."""

    def __init__(self, engine: AsyncEngine, redis: Redis) -> None:
        self._engine = engine
        self._redis = redis
        self._quota = RedisQuota(redis)

    async def rebuild(self, account_id: int) -> bool:
        """Settle the account's events and rewrite its keys under a new epoch; False if there is no such account.

        The row lock stops settlement and the Postgres fallback meanwhile; debits in Redis go on, and the script
        counts those that Postgres has not heard of.
        """
        seconds, micros = await self._redis.time()
        # The clock that ends windows is the one that the debit script reads.
        now = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
        async with self._engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            row = await roll_window(connection, account_id, now)
            if row is None:
                await self.forget(account_id, [])
                return False
            # Of a long backlog only the beginning: the script counts the rest, and settlement brings it.
            events = await read_events(self._redis, account_id, EVENTS_AT_ONCE)
            await book(connection, events)
            used = await connection.scalar(
                update(Account)
                .where(Account.id == account_id)
                .values(cache_epoch=Account.cache_epoch + 1, cache_stale=False, updated_at=Account.updated_at)
                .returning(Account.quota_used)
            )
            await self._write(connection, row, left=row.quota_limit - (used or 0), events=events, now=now)
        await delete_events(self._redis, events)
        return True

    async def _write(
        self,
        connection: AsyncConnection,
        row: Row[tuple[Account]],
        *,
        left: int,
        events: list[Event],
        now: datetime,
    ) -> None:
        keys = (await connection.execute(select(ApiKey.__table__).where(ApiKey.account_id == row.id))).all()
        live = [k for k in keys if k.revoked_at is None and (k.expires_at is None or k.expires_at > now)]
        dead = [k.digest for k in keys if k not in live]
        models = "*" if "*" in row.allowed_models else "\n" + "\n".join(row.allowed_models) + "\n"
        fields: dict[str, str | int] = {
            "state": row.state,
            "expires_at": milliseconds(row.expires_at),
            "window_started_at": milliseconds(row.window_started_at),
            "window_ends_at": milliseconds(window_end(QuotaWindow(row.quota_window), row.window_started_at)),
            "window_s": window_seconds(QuotaWindow(row.quota_window), row.window_started_at),
            "quota_limit": row.quota_limit,
            "interval": interval_us(row.rate_per_second),
            "burst": row.rate_burst,
            "models": models,
            "max_length": row.max_series_length or 0,
            "max_series": row.max_series_per_request or 0,
            "epoch": row.cache_epoch + 1,
            **{f"key:{k.prefix}": f"{k.digest}:{milliseconds(k.expires_at)}" for k in live},
        }
        await self._quota.rebuild(
            row.id,
            left=left,
            window_started_at_ms=milliseconds(row.window_started_at),
            booked=events[-1].entry_id if events else "",
            fields=fields,
        )
        pipe = self._redis.pipeline(transaction=False)
        for key in live:
            pipe.set(redis_keys.key(key.digest), row.id, pxat=milliseconds(key.expires_at) or None)
        if dead:
            pipe.delete(*(redis_keys.key(d) for d in dead))
        await pipe.execute()

    async def forget(self, account_id: int, digests: Sequence[str]) -> None:
        """Drop all keys of an account whose row is gone; waiting events go with it."""
        await self._redis.delete(
            redis_keys.account(account_id),
            redis_keys.quota(account_id),
            redis_keys.rate(account_id),
            redis_keys.events(account_id),
            *(redis_keys.key(digest) for digest in digests),
        )

    async def forget_key(self, digest: str) -> None:
        """Drop the index entry of a key whose row is gone."""
        await self._redis.delete(redis_keys.key(digest))

    async def stale_accounts(self, limit: int) -> list[int]:
        """Ids of accounts whose keys may differ from their row."""
        async with self._engine.connect() as connection:
            found = await connection.scalars(
                select(Account.id).where(Account.cache_stale).order_by(Account.id).limit(limit)
            )
            return list(found)

    async def mark_all_stale(self) -> None:
        """Ask for every account to be rebuilt: Redis was restarted or wiped."""
        async with self._engine.begin() as connection:
            await connection.execute(
                update(Account).where(~Account.cache_stale).values(cache_stale=True, updated_at=Account.updated_at)
            )
