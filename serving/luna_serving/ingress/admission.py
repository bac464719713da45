"""Admission: debits from Redis, from Postgres while Redis is gone, and never open.

Fails closed: with both stores gone nobody is served. Every debit keeps its id on the way from one store to the
other, so the ledger counts it once (see `luna_store.ledger`).
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_serving.ingress.credentials import Credential
from luna_serving.ingress.metrics import DEBITS, FALLBACK, REFUNDS
from luna_store.accounts import Accounts
from luna_store.cache import AccountCache
from luna_store.debits import Debit, Decision, Outcome, StoreUnavailable
from luna_store.fallback import PostgresQuota
from luna_store.quota import RedisQuota

log = logging.getLogger("luna.admission")

PROBE_EVERY_S = 0.25
REFUND_RETRY_S = 1.0
REFUND_TRIES = 600


class Admission:
    """Owns the decision which store is asked, and the refunds that wait for one."""

    def __init__(
        self, redis: Redis, quota: RedisQuota, fallback: PostgresQuota, cache: AccountCache, accounts: Accounts
    ) -> None:
        self._redis = redis
        self._quota = quota
        self._fallback = fallback
        self._cache = cache
        self._accounts = accounts
        self._probe: asyncio.Task[None] | None = None
        self._refunds: set[asyncio.Task[None]] = set()
        # Debits that went to Postgres: a refund must go the same way.
        self._in_postgres: set[object] = set()
        self._touched: set[int] = set()

    @property
    def redis_gone(self) -> bool:
        """Whether Postgres takes the debits at present."""
        return self._probe is not None

    async def admit(self, debits: Sequence[Debit]) -> list[Decision | StoreUnavailable]:
        """Decide each debit, in order; an exception stands where neither store could."""
        uncertain = False
        if not self.redis_gone:
            try:
                return await self._in_redis(debits)
            except StoreUnavailable as e:
                uncertain = e.uncertain
                self._begin_fallback(e)
        return list(await asyncio.gather(*(self._directly(d, uncertain=uncertain) for d in debits)))

    async def _in_redis(self, debits: Sequence[Debit]) -> list[Decision | StoreUnavailable]:
        first = await self._quota.debit(debits)
        decisions: list[Decision | StoreUnavailable] = [*first]
        unsure = [i for i, d in enumerate(first) if d.outcome is Outcome.UNKNOWN]
        if unsure:
            # Not in Redis (yet), or a window that has ended: Postgres has the say, once.
            repaired = await self._repair({debits[i].account_id for i in unsure})
            again = [i for i in unsure if debits[i].account_id in repaired]
            for i in unsure:
                if debits[i].account_id not in repaired:
                    decisions[i] = StoreUnavailable("Postgres", uncertain=False)
            if again:
                for i, second in zip(again, await self._quota.debit([debits[i] for i in again]), strict=True):
                    decisions[i] = second
        for decision in decisions:
            if isinstance(decision, Decision):
                DEBITS["redis", decision.outcome].inc()
        return decisions

    async def _repair(self, account_ids: Iterable[int]) -> set[int]:
        repaired = set()
        for account_id in account_ids:
            try:
                await self._cache.rebuild(account_id)
                repaired.add(account_id)
            except SQLAlchemyError as e:
                log.warning("account %s cannot be read from Postgres: %s", account_id, e)
            except (RedisError, OSError) as e:
                raise StoreUnavailable("Redis", uncertain=False) from e
        return repaired

    async def _directly(self, debit: Debit, *, uncertain: bool) -> Decision | StoreUnavailable:
        try:
            decision = await self._fallback.debit(debit, uncertain=uncertain)
        except StoreUnavailable as e:
            if uncertain and debit.units:
                self._in_postgres.add(debit.debit_id)
                self.refund_later(debit)
            return e
        if decision.admitted and debit.units:
            self._in_postgres.add(debit.debit_id)
            self._touched.add(debit.account_id)
        DEBITS["postgres", decision.outcome].inc()
        return decision

    def _begin_fallback(self, reason: StoreUnavailable) -> None:
        if self._probe is None:
            log.warning("Redis is gone, Postgres takes the debits: %s", reason.__cause__)
            FALLBACK.set(1)
            self._probe = asyncio.get_running_loop().create_task(self._until_redis_is_back())

    async def _until_redis_is_back(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            try:
                await self._redis.ping()
                # What Postgres took is not in Redis yet.
                for account_id in tuple(self._touched):
                    await self._cache.rebuild(account_id)
                    self._touched.discard(account_id)
            except (RedisError, SQLAlchemyError, OSError):
                continue
            log.warning("Redis is back and takes the debits again")
            self._probe = None
            FALLBACK.set(0)
            return

    def answered(self, debit: Debit) -> None:
        """The debit was served: there will be no refund."""
        self._in_postgres.discard(debit.debit_id)

    def refund_later(self, debit: Debit) -> None:
        """Give a debit back without making anybody wait; tried until a store takes it."""
        task = asyncio.get_running_loop().create_task(self._refund(debit))
        self._refunds.add(task)
        task.add_done_callback(self._refunds.discard)

    async def _refund(self, debit: Debit) -> None:
        for _ in range(REFUND_TRIES):
            try:
                if debit.debit_id in self._in_postgres:
                    await self._fallback.void(debit)
                else:
                    await self._quota.refund(debit)
                self._in_postgres.discard(debit.debit_id)
                REFUNDS.inc()
                return
            except StoreUnavailable as e:
                if e.store == "Redis" and not e.uncertain:
                    # Redis was wiped since: what it settled before is in the ledger.
                    self._in_postgres.add(debit.debit_id)
                await asyncio.sleep(REFUND_RETRY_S)
        log.error("debit %s of account %s was not refunded", debit.debit_id, debit.account_id)

    async def owner(self, credential: Credential) -> int | None:
        """Whose credential this is, as far as any store knows.

        Raises:
            StoreUnavailable: neither could be asked.

        """
        if credential.key is None:
            return credential.token_account
        if not self.redis_gone:
            try:
                owner = await self._quota.owner(credential.key_digests)
            except StoreUnavailable as e:
                self._begin_fallback(e)
            else:
                if owner is not None:
                    return owner
        try:
            return await self._accounts.owner(credential.key)
        except (SQLAlchemyError, OSError) as e:
            raise StoreUnavailable("Postgres", uncertain=False) from e

    async def exists(self, account_id: int) -> bool:
        """Whether there is such an account.

        Raises:
            StoreUnavailable: Postgres could not be asked.

        """
        try:
            return await self._accounts.exists(account_id)
        except (SQLAlchemyError, OSError) as e:
            raise StoreUnavailable("Postgres", uncertain=False) from e

    async def repair(self, account_id: int) -> None:
        """Bring Redis up to date with an account: it did not know a key that Postgres knows."""
        try:
            if not self.redis_gone:
                await self._repair([account_id])
        except StoreUnavailable as e:
            self._begin_fallback(e)

    async def peek(self, debit: Debit) -> Decision | StoreUnavailable:
        """The decision that the debit would meet, without taking anything."""
        return (await self.admit([replace(debit, units=0)]))[0]

    async def settle_refunds(self) -> None:
        """Wait for the refunds under way: called when the replica stops."""
        await asyncio.gather(*self._refunds)
