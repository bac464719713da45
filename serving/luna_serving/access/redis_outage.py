"""Outages of Redis: probes Redis until it is back, then rebuilds the accounts that Postgres debited."""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_serving.telemetry.metrics import AccessMetrics
from luna_store.accounts.cache import AccountCache
from luna_store.quota.debits import StoreUnavailable

log = logging.getLogger("luna.admission")

PROBE_EVERY_S = 0.25


class RedisOutage:
    """Knows whether Postgres takes the debits, and switches back when Redis answers."""

    def __init__(self, redis: Redis, cache: AccountCache, metrics: AccessMetrics, *, timeout_s: float) -> None:
        """Wire it; the rebuild of an account times out after `timeout_s` seconds."""
        self._redis = redis
        self._cache = cache
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._probe: asyncio.Task[None] | None = None
        self._debited: set[int] = set()

    @property
    def gone(self) -> bool:
        """Whether Redis did not answer the last command."""
        return self._probe is not None

    def begin(self, reason: StoreUnavailable) -> None:
        """Record that Redis failed, and probe it until it is back."""
        if self._probe is None:
            log.warning("Redis is gone, Postgres takes the debits: %s", reason.__cause__)
            self._metrics.redis_gone.set(1)
            self._probe = asyncio.get_running_loop().create_task(self._until_it_is_back())

    def debited(self, account_id: int) -> None:
        """Record that Postgres took a debit of this account, so that its Redis keys are rebuilt later."""
        self._debited.add(account_id)

    async def rebuild(self, account_id: int) -> bool:
        """Rebuild an account's Redis keys; False if there is no such account.

        Raises:
            StoreUnavailable: Postgres or Redis did not answer in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._cache.rebuild(account_id)
        except (SQLAlchemyError, TimeoutError) as e:
            log.warning("account %s cannot be read from Postgres: %s", account_id, e)
            raise StoreUnavailable("Postgres", uncertain=False) from e
        except (RedisError, OSError) as e:
            raise StoreUnavailable("Redis", uncertain=False) from e

    async def _until_it_is_back(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            try:
                await self._redis.ping()
            except (RedisError, OSError):
                continue
            # Redis lacks the debits that Postgres took. If this fails, settlement rebuilds: the row is marked stale.
            debited, self._debited = self._debited, set()
            await asyncio.gather(*(self.rebuild(i) for i in debited), return_exceptions=True)
            log.warning("Redis is back and takes the debits again")
            self._probe = None
            self._metrics.redis_gone.set(0)
            return
