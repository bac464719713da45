"""Whether Redis is gone, and what is done about it: ask until it is back, then bring it up to date."""

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
    """Knows whether Postgres takes the debits at present, and ends that once Redis answers again."""

    def __init__(self, redis: Redis, cache: AccountCache, metrics: AccessMetrics, *, timeout_s: float) -> None:
        """Wire it; the rebuild of an account is given up after `timeout_s` seconds."""
        self._redis = redis
        self._cache = cache
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._probe: asyncio.Task[None] | None = None
        self._debited: set[int] = set()

    @property
    def gone(self) -> bool:
        """Whether Redis did not answer when it was last asked."""
        return self._probe is not None

    def begin(self, reason: StoreUnavailable) -> None:
        """Note that Redis failed, and ask it from now on until it is back."""
        if self._probe is None:
            log.warning("Redis is gone, Postgres takes the debits: %s", reason.__cause__)
            self._metrics.redis_gone.set(1)
            self._probe = asyncio.get_running_loop().create_task(self._until_it_is_back())

    def debited(self, account_id: int) -> None:
        """Note that Postgres took a debit of this account, which Redis has to learn of."""
        self._debited.add(account_id)

    async def rebuild(self, account_id: int) -> bool:
        """Bring Redis up to date with an account; False if there is no such account.

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
            # What Postgres took is not in Redis yet. Where this fails, settlement does it: the row says so.
            debited, self._debited = self._debited, set()
            await asyncio.gather(*(self.rebuild(i) for i in debited), return_exceptions=True)
            log.warning("Redis is back and takes the debits again")
            self._probe = None
            self._metrics.redis_gone.set(0)
            return
