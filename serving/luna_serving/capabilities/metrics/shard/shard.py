"""The shard: opens the accounts, answers requests by their type."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.requests import (
    Aggregate,
    Describe,
    Forget,
    ListLabels,
    ListSeries,
    Metadata,
    Statistics,
)
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.account import AccountState
from luna_serving.capabilities.metrics.shard.accounts import Accounts, UnknownAccountError
from luna_serving.capabilities.metrics.shard.admitting import admit
from luna_serving.capabilities.metrics.shard.budget import SampleBudget
from luna_serving.capabilities.metrics.shard.chunk_cache import ChunkCache
from luna_serving.capabilities.metrics.shard.committing import Committer, Publish
from luna_serving.capabilities.metrics.shard.flushing import Flusher
from luna_serving.capabilities.metrics.shard.functions import ModelFunctions
from luna_serving.capabilities.metrics.shard.housekeeping import Housekeeper
from luna_serving.capabilities.metrics.shard.listing import Lister
from luna_serving.capabilities.metrics.shard.querying import Querier
from luna_serving.capabilities.metrics.shard.selecting import Selector
from luna_serving.capabilities.metrics.shard.summing import Summer
from luna_serving.live.metrics import PublishingMetrics
from luna_serving.live.publishing import Publisher
from luna_serving.samples.answers import TooFast, Written
from luna_serving.samples.requests import Instant, Latest, Range, Write
from luna_serving.shards.shard import NotOpen, Place, ShardStores
from luna_store.platform.leases import Lease, LeaseLost
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.metrics.shard")

# Samples that may wait for a group commit: 160 MB.
MOST_WAITING: Final = 10_000_000
# Seconds for which the number of samples that wait for their chunks is used again.
FULL_LOOK_S: Final = 0.2
# Seconds to end tasks when the shard closes.
CLOSE_S: Final = 2.0


class MetricsShard:
    """Has the samples of accounts. Implements `luna_serving.shards.shard.Shard`."""

    def __init__(
        self,
        settings: MetricsSettings,
        stores: ShardStores,
        place: Place,
        lease: Lease,
        publish: Publish | None = None,
    ) -> None:
        """Wire it.

        Args:
            settings: of the capability.
            stores: of the process.
            place: which accounts it has.
            lease: fences what it writes.
            publish: is called with the series that have changed after each commit; by default they go to the live
                subscribers.
        """
        self._settings = settings
        self._publisher = Publisher(stores.redis, stores.once(PublishingMetrics))
        self._place = place
        self._metrics = stores.once(ShardMetrics)
        self._accounts = Accounts(stores.engine)
        self._cache = ChunkCache(settings.cache_bytes)
        self._committer = Committer(
            stores.engine, lease, self._accounts, self._metrics, publish or self._publisher.changed
        )
        parts = (settings, stores.engine, lease, self._accounts, self._cache, self._metrics)
        self._flusher = Flusher(*parts)
        self._pool = ThreadPoolExecutor(settings.query_threads, "metrics-query")
        self._selector = selector = Selector(stores.engine, self._cache)
        self._budget = budget = SampleBudget(settings.query_samples_at_once)
        querier = Querier(selector, self._pool, budget, self._metrics, ModelFunctions())
        summer = Summer(stores.engine, selector, self._pool, budget, self._metrics)
        lister = Lister()
        self._housekeeper = Housekeeper(*parts, selector)
        self._handlers: dict[type, Callable[[AccountState, Any], Awaitable[Any]]] = {
            Write: self._write,
            Instant: querier.instant,
            Range: querier.range,
            Latest: lister.latest,
            ListSeries: lister.series,
            ListLabels: lister.labels,
            Metadata: lister.metadata,
            Statistics: summer.statistics,
            Aggregate: summer.aggregated,
            Describe: self._housekeeper.describe,
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._look_s = 0.0
        self._unflushed = 0

    async def open(self) -> None:
        """Read what is not in chunks yet, and begin to take writes."""
        await self._accounts.open(self._place.has)
        self._metrics.state.read = self._state
        self._publisher.start()
        self._tasks = [
            asyncio.create_task(each.run(), name=f"metrics.{type(each).__name__}")
            for each in (self._committer, self._flusher, self._housekeeper)
        ]

    async def ask(self, account_id: int, request: Any) -> Any:  # noqa: ANN401  as `Shard` says
        """Answer a request.

        Raises:
            LeaseLost: the lease is gone; nothing was written.
        """
        if isinstance(request, Forget):
            return await self._housekeeper.forget(account_id)
        try:
            state = await self._accounts.get(account_id)
            answer = await self._handlers[type(request)](state, request)
        except UnknownAccountError:
            self._accounts.drop(account_id)
            # The caller was recognised a moment ago: it was deleted in between, or its state is read again.
            return NotOpen()
        except POSTGRES_GONE as e:
            log.warning("a request waits for Postgres: %s", e)
            return NotOpen()
        return answer

    async def flush(self, account_id: int) -> None:
        """Put all samples of an account into chunks.

        Raises:
            LeaseLost: the lease is gone.
        """
        await self._flusher.flush(await self._accounts.get(account_id))

    async def compact(self, account_id: int) -> None:
        """Compact the days of an account that have changed, and compute their roll-ups.

        Raises:
            LeaseLost: the lease is gone.
        """
        await self._housekeeper.compact(await self._accounts.get(account_id))

    async def close(self) -> None:
        """End its tasks. What is not in chunks is in the write-ahead table."""
        self._metrics.state.read = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._publisher.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _write(self, state: AccountState, request: Write) -> Written | TooFast | NotOpen:
        for task in self._tasks:
            if task.done():
                # The lease is lost, or the task has failed: the holder opens another shard.
                failure = None if task.cancelled() else task.exception()
                if not isinstance(failure, LeaseLost):
                    log.error("the task %s has ended", task.get_name(), exc_info=failure)
                raise LeaseLost(self._place.lease, 0)
        if self._committer.waiting > MOST_WAITING or self._full():
            self._flusher.woken.set()
            return NotOpen()
        admitted = admit(state, request.batch, request.limits, self._settings.active_s)
        if isinstance(admitted, TooFast):
            self._metrics.refused("metrics.samples_per_second", 1)
            return admitted
        if admitted.refused:
            self._metrics.refused("metrics.active_series", len(admitted.refused))
        if admitted.samples:
            await self._committer.commit(state, admitted)
        return Written(admitted.samples, admitted.refused)

    def _full(self) -> bool:
        """Whether too many samples wait for their chunks; looked at a few times a second."""
        now_s = time.monotonic()
        if now_s >= self._look_s:
            self._look_s = now_s + FULL_LOOK_S
            self._unflushed = sum(each.unflushed for each in self._accounts)
        return self._unflushed > 2 * self._settings.head_samples

    def _state(self) -> dict[str, float]:
        return {**self._housekeeper.state(self._committer.waiting), "query_samples": self._budget.held}
