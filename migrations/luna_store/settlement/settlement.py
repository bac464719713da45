"""Settlement: books every event of Redis in Postgres exactly once, and rebuilds stale Redis keys.

A round reads a batch, books it in one transaction, commits, and only then deletes it from the streams. After a crash at
any point, the next run reads the batch again and books nothing twice. One settler works at a time (a Postgres advisory
lock); the lock only avoids duplicate work, and two settlers at once would be just as exact.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_store.accounts.cache import AccountCache
from luna_store.accounts.tables import Account
from luna_store.ledger.backlog import backlog
from luna_store.ledger.booking import Event, book, lock_accounts
from luna_store.ledger.event_streams import delete_events, read_many, waiting
from luna_store.ledger.tables import UsageEvent
from luna_store.platform.leadership import leadership
from luna_store.platform.partitions import ensure_partitions
from luna_store.quota import redis_keys

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from luna_store.platform.traces import Traces

log = logging.getLogger("luna.settlement")

LOCK = "luna.settlement"

INTERVAL_S = 0.25
# Seconds between sweeps over all accounts: a mark is lost if a connection broke after a debit, or a settler died.
SWEEP_EVERY_S = 5.0
# A transaction of at most 20 x 500 events holds its locks for tens of milliseconds.
ACCOUNTS_PER_BATCH = 20
EVENTS_PER_ACCOUNT = 500
# A batch holds its locks for tens of milliseconds; other events wait for a few tenths of a second.
REBUILDS_PER_BATCH = 48
REBUILDING_S = 0.3
STALE_LOOKED_AT = 1000
REBUILD_PAUSE_S = 5.0
# Two small pipelines.
BACKLOG_EVERY_S = 5.0
MARKS_PER_TICK = 2000
STANDBY_S = 2.0
PARTITIONS_EVERY_S = 3600.0


class SettlementObserver:
    """Receives progress callbacks; the default ignores them."""

    def leading(self, leading: bool) -> None:
        """Whether this settler settles; if not, another one does, or a store is down. Called repeatedly."""

    def booked(self, events: int) -> None:
        """New events were committed."""

    def rebuilt(self, accounts: int) -> None:
        """The Redis keys of stale accounts were rebuilt."""

    def round(self, seconds: float) -> None:
        """A round has ended."""

    def backlog(self, waiting_events: int, oldest_age_s: float) -> None:
        """About how many events wait, and the age of the oldest. From the leader, or while Postgres is down."""


class Settler:
    """Settles until it is stopped. Does not own its connections."""

    def __init__(
        self,
        engine: AsyncEngine,
        redis: Redis,
        *,
        interval_s: float = INTERVAL_S,
        observer: SettlementObserver | None = None,
        traces: "Traces | None" = None,
    ) -> None:
        self._engine = engine
        self._traces = traces
        self._redis = redis
        self._cache = AccountCache(engine, redis)
        self._interval_s = interval_s
        self._observer = observer or SettlementObserver()
        self._unfinished: set[int] = set()
        self._measured_at = -BACKLOG_EVERY_S
        self._not_before: dict[int, float] = {}
        self._swept_at = -SWEEP_EVERY_S
        self._partitioned_at = -PARTITIONS_EVERY_S

    async def run(self, stop: asyncio.Event) -> None:
        """Settle until `stop` is set; waits during outages of either store."""
        while not stop.is_set():
            try:
                async with leadership(self._engine, LOCK) as leader:
                    self._observer.leading(leader is not None)
                    while leader is not None and not stop.is_set():
                        # Checked on the connection that holds the lock: the lock ends with it.
                        await leader.execute(text("SELECT 1"))
                        await self._measure()
                        await self.settle()
                        await _pause(stop, self._interval_s)
            except (SQLAlchemyError, RedisError, OSError) as e:
                log.warning("settlement waits: %s", e)
                self._observer.leading(False)
                with suppress(RedisError, OSError):
                    await self._measure()
                self._swept_at = -SWEEP_EVERY_S
                await _pause(stop, 1.0)
            else:
                await _pause(stop, STANDBY_S)

    async def settle(self) -> int:
        """One round: partitions, a restarted Redis, events, stale accounts. Returns the number of events booked."""
        began = time.monotonic()
        await self._ensure_partitions()
        await self._notice_restart()
        booked = await self._settle_marked()
        await self._rebuild_stale()
        self._observer.round(time.monotonic() - began)
        return booked

    async def _measure(self) -> None:
        """Report the backlog, now and then."""
        if time.monotonic() - self._measured_at < BACKLOG_EVERY_S:
            return
        self._measured_at = time.monotonic()
        found = await backlog(self._redis, self._unfinished)
        self._observer.backlog(found.events, found.oldest_age_s)

    async def _rebuild_stale(self) -> None:
        """Rebuild stale accounts for a while; accounts that cannot be rebuilt now do not delay others."""
        began = time.monotonic()
        stale = [
            i for i in await self._cache.stale_accounts(STALE_LOOKED_AT) if self._not_before.get(i, began) <= began
        ]
        for first in range(0, len(stale), REBUILDS_PER_BATCH):
            await self._rebuild(stale[first : first + REBUILDS_PER_BATCH])
            if time.monotonic() - began >= REBUILDING_S:
                break

    async def _rebuild(self, account_ids: list[int]) -> None:
        try:
            # A locked account is left out, and is still stale in the next round.
            self._observer.rebuilt(len(await self._cache.rebuild_many(account_ids)))
        except SQLAlchemyError as e:
            if len(account_ids) > 1 and not _away(e):
                for account_id in account_ids:
                    await self._rebuild([account_id])
                return
            log.warning("accounts %s are not rebuilt yet: %s", account_ids, e)
            self._not_before |= dict.fromkeys(account_ids, time.monotonic() + REBUILD_PAUSE_S)
        else:
            for account_id in account_ids:
                self._not_before.pop(account_id, None)

    async def _settle_marked(self) -> int:
        self._unfinished.update(await self._marked())
        if time.monotonic() - self._swept_at >= SWEEP_EVERY_S:
            self._unfinished.update(await self._sweep())
            self._swept_at = time.monotonic()
        account_ids = sorted(self._unfinished)
        booked = 0
        for first in range(0, len(account_ids), ACCOUNTS_PER_BATCH):
            batch = account_ids[first : first + ACCOUNTS_PER_BATCH]
            booked += await self._settle_accounts(batch)
            self._unfinished.difference_update(batch)
        return booked

    async def _settle_accounts(self, account_ids: list[int]) -> int:
        booked = 0
        while account_ids:
            events = await read_many(self._redis, account_ids, EVENTS_PER_ACCOUNT)
            if not events:
                break
            with self._span(events):
                async with self._engine.begin() as connection:
                    present = await lock_accounts(connection, account_ids)
                    new = await book(connection, events)
                booked += new
                self._observer.booked(new)
                await delete_events(self._redis, events)
            for account_id in {event.account_id for event in events} - present:
                # The row was deleted and the Redis keys remain. No row can be marked stale, so they are removed here.
                await self._cache.rebuild(account_id)
            counts = dict.fromkeys(account_ids, 0)
            for event in events:
                counts[event.account_id] += 1
            account_ids = [i for i, count in counts.items() if count == EVENTS_PER_ACCOUNT]
        return booked

    def _span(self, events: Sequence[Event]) -> "AbstractContextManager[object]":
        """A span of the booking, linked to the requests that are traced; none where no request is."""
        of = [event.traceparent for event in events if event.traceparent] if self._traces is not None else []
        if self._traces is None or not of:
            return nullcontext()
        return self._traces.batch("settle", of, {"luna.events": len(events)})

    async def _marked(self) -> list[int]:
        popped = await cast("Awaitable[list[str]]", self._redis.spop(redis_keys.UNSETTLED, MARKS_PER_TICK))
        return sorted(int(i) for i in popped or [])

    async def _sweep(self) -> list[int]:
        async with self._engine.connect() as connection:
            every = list(await connection.scalars(select(Account.id).order_by(Account.id)))
        found: list[int] = []
        for first in range(0, len(every), MARKS_PER_TICK):
            found += await waiting(self._redis, every[first : first + MARKS_PER_TICK])
        return found

    async def _notice_restart(self) -> None:
        """Rebuild all accounts if the Redis process is new: it may have lost data or restored old data.

        What was seen is kept in Redis itself, so a wiped or restored one never looks familiar.
        """
        run_id = (await self._redis.info("server"))["run_id"]
        if await self._redis.get(redis_keys.SEEN_RUN) == run_id:
            return
        await self._cache.mark_all_stale()
        await self._redis.set(redis_keys.SEEN_RUN, run_id)
        log.info("redis process %s is new: every account is rebuilt", run_id)

    async def _ensure_partitions(self) -> None:
        if time.monotonic() - self._partitioned_at < PARTITIONS_EVERY_S:
            return
        async with self._engine.begin() as connection:
            await ensure_partitions(connection, UsageEvent.__tablename__, datetime.now(UTC))
        self._partitioned_at = time.monotonic()


def _away(error: SQLAlchemyError) -> bool:
    """Whether the connection is lost, so that all other accounts would fail too."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
