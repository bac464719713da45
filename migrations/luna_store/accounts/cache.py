"""Rebuilds accounts' Redis keys from Postgres: the only way in which they are written.

An account is rebuilt when Redis does not know it, when its quota window has ended, when it or one of its keys changed,
and after calls were booked in Postgres alone; all accounts are, when Redis was restarted or wiped.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha1

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError, RedisError
from sqlalchemy import ColumnElement, TextClause, Update, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.tables import Account
from luna_store.accounts.window_rows import begin_window, next_start
from luna_store.ledger.booking import Event, book
from luna_store.ledger.event_streams import delete_events
from luna_store.quota import redis_keys
from luna_store.quota.redis_image import COLUMNS, Held, Mirror
from luna_store.quota.redis_quota import SCRIPTS

# A rebuild that cannot lock its account now is retried, rather than keeping a connection waiting.
LOCK_TIMEOUT = "2s"
EVENTS_AT_ONCE = 1000

WAIT = text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
ROWS = "SELECT id, quota_window, window_started_at FROM accounts WHERE id = ANY(:ids) ORDER BY id"
LOCK = text(f"{ROWS} FOR UPDATE")
LOCK_FREE = text(f"{ROWS} FOR UPDATE SKIP LOCKED")
# A separate statement after the lock: only then do the keys match the row.
TAKE = text(
    "UPDATE accounts a SET cache_epoch = cache_epoch + 1, cache_stale = false WHERE id = ANY(:ids) "  # noqa: S608  constants
    f"RETURNING {COLUMNS}"
)
SHARE_FREE = text("SELECT id FROM accounts WHERE id = ANY(:ids) ORDER BY id FOR SHARE SKIP LOCKED")
FRESH = text(f"SELECT {COLUMNS} FROM accounts a WHERE id = ANY(:ids) AND NOT cache_stale")  # noqa: S608  constants


class AccountCache:
    """Keeps Redis in step with Postgres. Does not own its connections."""

    def __init__(self, engine: AsyncEngine, redis: Redis) -> None:
        self._engine = engine
        self._redis = redis
        self._script = (SCRIPTS / "rebuild.lua").read_text()
        self._sha = sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    async def rebuild(self, account_id: int) -> bool:
        """Settle the account's events and rewrite its keys under a new epoch; False if there is no such account.

        The row lock blocks settlement and the Postgres fallback. Debits in Redis go on, and the script counts those
        that are not in Postgres yet.
        """
        # Waiting costs a further statement, and the lock is nearly always free.
        if await self._rebuild([account_id], LOCK_FREE) or await self._rebuild([account_id], LOCK):
            return True
        await self.forget(account_id, [])
        return False

    async def rebuild_many(self, account_ids: Sequence[int]) -> set[int]:
        """As `rebuild`, for a few dozen accounts in one transaction.

        Returns:
            The accounts that were rebuilt; those without a row, and those whose row is locked, are left out.
        """
        return await self._rebuild(account_ids, LOCK_FREE)

    async def _rebuild(self, account_ids: Sequence[int], lock: TextClause) -> set[int]:
        async with self._engine.begin() as connection:
            if lock is LOCK:
                await connection.execute(WAIT)
            rows = (await connection.execute(lock, {"ids": account_ids})).all()
            if not rows:
                return set()
            ids = [row.id for row in rows]
            now, events = await self._look(ids)
            for row in rows:
                if start := next_start(row, now):
                    await begin_window(connection, row.id, start)
            await book(connection, events)
            taken = await connection.execute(TAKE, {"ids": ids})
            await self._write([Mirror.of(row) for row in taken], events, now)
        await delete_events(self._redis, events)
        return set(ids)

    async def _look(self, account_ids: Iterable[int]) -> tuple[datetime, list[Event]]:
        """The clock by which the debit script ends windows, and the waiting events.

        Only the beginning of a long backlog: the script counts the rest, and settlement books it.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        for account_id in account_ids:
            pipe.xrange(redis_keys.events(account_id), count=EVENTS_AT_ONCE)
        (seconds, micros), *streams = await pipe.execute()
        events = [
            Event.parse(account_id, entry, fields)
            for account_id, entries in zip(account_ids, streams, strict=True)
            for entry, fields in entries
        ]
        return datetime.fromtimestamp(seconds + micros / 1e6, UTC), events

    async def _write(self, mirrors: Sequence[Mirror], events: Sequence[Event], now: datetime) -> None:
        booked = {event.account_id: event.entry_id for event in events}
        for _ in range(2):
            pipe = self._redis.pipeline(transaction=False)
            for mirror in mirrors:
                self._overwrite(pipe, mirror, booked.get(mirror.account_id, ""), now)
            replies = await pipe.execute(raise_on_error=False)
            if not any(isinstance(reply, NoScriptError) for reply in replies):
                break
            # A restarted server has lost the script. A script that did run may run again.
            await self._redis.script_load(self._script)
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply

    def _overwrite(self, pipe: Pipeline, mirror: Mirror, booked: str, now: datetime) -> None:
        account_id = mirror.account_id
        keys = redis_keys.account(account_id), redis_keys.quota(account_id), redis_keys.events(account_id)
        hash_ = [part for item in mirror.fields(now).items() for part in item]
        pipe.evalsha(self._sha, len(keys), *keys, mirror.left, mirror.window_started_ms, booked, *hash_)
        for key in mirror.keys:
            if key.live(now):
                pipe.set(redis_keys.key(key.digest), account_id, pxat=key.expires_ms or None)
            else:
                pipe.delete(redis_keys.key(key.digest))

    async def drifted(self, account_ids: Sequence[int]) -> set[int]:
        """The accounts, of a few hundred, whose Redis keys differ from their rows.

        Accounts that are marked stale, or whose row is locked just now, are left out: they are being rebuilt. The
        number of units left is not compared, only that there is one.
        """
        async with self._engine.connect() as connection:
            suspects = await self._differing(connection, account_ids)
        if not suspects:
            return set()
        async with self._engine.begin() as connection:
            # Under its lock nobody else changes or rebuilds an account: a difference is not a change in progress.
            still = list(await connection.scalars(SHARE_FREE, {"ids": sorted(suspects)}))
            return await self._differing(connection, still)

    async def _differing(self, connection: AsyncConnection, account_ids: Sequence[int]) -> set[int]:
        rows = await connection.execute(FRESH, {"ids": account_ids})
        mirrors = [Mirror.of(row) for row in rows]
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        for mirror in mirrors:
            pipe.hgetall(redis_keys.account(mirror.account_id))
            pipe.exists(redis_keys.quota(mirror.account_id))
            for key in mirror.keys:
                pipe.get(redis_keys.key(key.digest))
        pipe.time()
        begun, *replies, ended = await pipe.execute()
        since, until = (datetime.fromtimestamp(seconds + micros / 1e6, UTC) for seconds, micros in (begun, ended))
        found = iter(replies)
        held = [Held(next(found), bool(next(found)), [next(found) for _ in mirror.keys]) for mirror in mirrors]
        return {
            mirror.account_id
            for mirror, seen in zip(mirrors, held, strict=True)
            if not mirror.agrees(seen, since, until)
        }

    async def forget(self, account_id: int, digests: Sequence[str]) -> None:
        """Remove all keys of an account whose row is gone, with its waiting events."""
        await self._redis.delete(
            redis_keys.account(account_id),
            redis_keys.quota(account_id),
            redis_keys.rate(account_id),
            redis_keys.events(account_id),
            *(redis_keys.key(digest) for digest in digests),
        )

    async def forget_key(self, digest: str) -> None:
        """Remove the index entry of a key whose row is gone."""
        await self._redis.delete(redis_keys.key(digest))

    async def stale_accounts(self, limit: int) -> list[int]:
        """Ids of accounts whose keys may differ from their row."""
        async with self._engine.connect() as connection:
            found = await connection.scalars(
                select(Account.id).where(Account.cache_stale).order_by(Account.id).limit(limit)
            )
            return list(found)

    async def mark_stale(self, account_ids: Sequence[int]) -> None:
        """Mark some accounts for a rebuild: Redis differed from their rows."""
        async with self._engine.begin() as connection:
            await connection.execute(_marked_stale(Account.id.in_(account_ids)))

    async def mark_all_stale(self) -> None:
        """Mark every account for a rebuild: Redis was restarted or wiped."""
        async with self._engine.begin() as connection:
            await connection.execute(_marked_stale())


def _marked_stale(*which: ColumnElement[bool]) -> Update:
    """Mark accounts stale; their rows are locked by id, as everywhere: two orders would deadlock."""
    fresh = select(Account.id).where(~Account.cache_stale, *which).order_by(Account.id).with_for_update()
    return update(Account).where(Account.id.in_(fresh)).values(cache_stale=True, updated_at=Account.updated_at)
