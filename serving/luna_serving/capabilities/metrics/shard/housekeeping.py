"""What a shard does in the background: compaction and roll-ups, retention, limits, accounts that are gone."""

import asyncio
import logging
import time
from datetime import date
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.requests import Describe
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.account import DAY_MS, AccountState, now_ms
from luna_serving.capabilities.metrics.shard.accounts import Accounts, UnknownAccountError
from luna_serving.capabilities.metrics.shard.chunk_cache import ChunkCache
from luna_serving.capabilities.metrics.shard.compacting import Compactor
from luna_serving.capabilities.metrics.shard.flushing import day_of, number_of
from luna_serving.capabilities.metrics.shard.selecting import Selector
from luna_serving.capabilities.metrics.store import accounts as rows
from luna_serving.capabilities.metrics.store import retention
from luna_store.platform.leases import Lease, LeaseLost, fenced
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.metrics.shard")

# Seconds between two looks for rows that are older than the retention.
RETAIN_S: Final = 600.0
# Seconds after which the state of an account that nobody asks for is read again when it is needed.
UNUSED_S: Final = 3_600.0
# Metrics of an account whose metadata is kept.
MOST_METADATA: Final = 100_000


class Housekeeper:
    """Keeps the accounts of a shard in order."""

    def __init__(
        self,
        settings: MetricsSettings,
        engine: AsyncEngine,
        lease: Lease,
        accounts: Accounts,
        cache: ChunkCache,
        metrics: ShardMetrics,
        selector: Selector,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._lease = lease
        self._accounts = accounts
        self._cache = cache
        self._compactor = Compactor(engine, lease, cache, metrics, selector)
        self._retained_at = -RETAIN_S

    async def run(self) -> None:
        """Run until cancelled, or until the lease is lost.

        Raises:
            LeaseLost: it is.
        """
        while True:
            await asyncio.sleep(self._settings.compact_s)
            try:
                await self.once()
            except POSTGRES_GONE as e:
                log.warning("compaction and retention wait: %s", e)

    async def once(self) -> None:
        """Look at all accounts that are in memory.

        Raises:
            LeaseLost: the lease is gone.
        """
        await self._read_limits()
        retain = time.monotonic() - self._retained_at >= RETAIN_S
        for state in self._accounts:
            try:
                await self.compact(state)
                if retain:
                    await self.retain(state)
            except (LeaseLost, *POSTGRES_GONE):
                raise
            except Exception:
                # A fault of ours in one account must not hold up the others.
                log.exception("account %d cannot be compacted", state.account_id)
        if retain:
            self._retained_at = time.monotonic()
        self._accounts.unload(time.monotonic() - UNUSED_S)

    async def compact(self, state: AccountState) -> None:
        """Compact the days of an account that have changed and are over, and compute their roll-ups.

        Raises:
            LeaseLost: the lease is gone.
        """
        today = now_ms() // DAY_MS
        for day, dirty in sorted(state.days.items()):
            if dirty:
                await self._compactor.day(state, day, over=number_of(day) < today)

    async def retain(self, state: AccountState) -> None:
        """Remove what an account keeps no longer.

        Raises:
            LeaseLost: the lease is gone.
        """
        before = day_of(state.oldest_ms() // DAY_MS)
        if any(day < before for day in state.days):
            async with state.writing:
                await self._remove(state, before)
        ids = state.index.all()
        times, _ = state.latest.of(ids)
        quiet = state.latest.written_s[ids] < time.monotonic() - self._settings.active_s
        gone = ids[(times < state.oldest_ms()) & quiet].tolist()
        # From the index first: a write to one of them gets another id, and its commit waits for the removal.
        state.index.remove(gone)
        while gone:
            try:
                async with fenced(self._engine, self._lease) as connection:
                    await rows.remove_series(connection, state.account_id, gone)
            except POSTGRES_GONE as e:
                log.warning("the removal of series of account %d is repeated: %s", state.account_id, e)
                await asyncio.sleep(1.0)
            else:
                break

    async def describe(self, state: AccountState, request: Describe) -> None:
        """Keep metadata, if it says anything new.

        Raises:
            LeaseLost: the lease is gone; nothing was written.
        """
        room = MOST_METADATA - len(state.metadata)
        known = {name: each for name, each in request.metadata.items() if name in state.metadata}
        more = [each for each in request.metadata.items() if each[0] not in state.metadata]
        new = {name: each for name, each in known.items() if state.metadata[name] != each} | dict(more[: max(0, room)])
        if not new:
            return
        async with fenced(self._engine, self._lease) as connection:
            if not await rows.living(connection, [state.account_id]):
                raise UnknownAccountError(state.account_id)
            await rows.set_metadata(connection, state.account_id, new)
        state.metadata |= new

    async def forget(self, account_id: int) -> None:
        """Drop a deleted account; one that exists is read again when it is asked for.

        Raises:
            LeaseLost: the lease is gone.
        """
        state = self._accounts.loaded(account_id)
        if state is not None:
            async with state.writing:
                self._accounts.drop(account_id)
        self._cache.drop_account(account_id)
        await retention.remove_account(self._engine, account_id)

    def state(self, waiting: int) -> dict[str, float]:
        """Gauges of the shard, by name."""
        states = list(self._accounts)
        since = [state.head_since for state in states if state.head_since is not None]
        return {
            "head_samples": sum(state.unflushed for state in states),
            "head_age_seconds": time.monotonic() - min(since) if since else 0.0,
            "series": sum(len(state.index) for state in states),
            "waiting_samples": waiting,
            "largest_label_values": max((state.index.cardinality()[1] for state in states), default=0),
            "cache_bytes": self._cache.nbytes,
        }

    async def _remove(self, state: AccountState, before: date) -> None:
        more = True
        while more:
            async with fenced(self._engine, self._lease) as connection:
                more = await retention.remove_some(connection, state.account_id, before)
        async with fenced(self._engine, self._lease) as connection:
            await retention.forget_days(connection, state.account_id, before)
        state.changes += 1
        state.days = {day: dirty for day, dirty in state.days.items() if day >= before}

    async def _read_limits(self) -> None:
        states = {state.account_id: state for state in self._accounts}
        async with self._engine.connect() as connection:
            found = await rows.limits_of(connection, list(states))
        for account_id, state in states.items():
            if account_id in found:
                state.limit(found[account_id])
            else:
                self._accounts.drop(account_id)
