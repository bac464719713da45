"""Admission: debits from Redis, from Postgres while Redis is gone, and never open.

Fails closed: with both stores gone nobody is served. Every debit keeps its id on the way from one store to the
other, so the ledger counts it once (see `luna_store.ledger.booking`).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_serving.access.credentials import Credential
from luna_serving.telemetry.metrics import DEBITS, FALLBACK, REFUNDS
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.quota.debits import Debit, Decision, StoreUnavailable
from luna_store.quota.redis_quota import RedisQuota

log = logging.getLogger("luna.admission")

PROBE_EVERY_S = 0.25
REFUND_RETRY_S = 1.0
REFUND_TRIES = 600
REFUND_GRACE_S = 5.0
MISSING_S = 1.0
MAX_MISSING = 10_000

T = TypeVar("T")


class Admission:
    """Owns the decision which store is asked, and the refunds that wait for one."""

    def __init__(
        self,
        redis: Redis,
        quota: RedisQuota,
        fallback: PostgresQuota,
        cache: AccountCache,
        accounts: Accounts,
        *,
        timeout_s: float,
    ) -> None:
        """Wire it; a question to Postgres is given up after `timeout_s` seconds."""
        self._redis = redis
        self._quota = quota
        self._fallback = fallback
        self._cache = cache
        self._accounts = accounts
        self._timeout_s = timeout_s
        self._probe: asyncio.Task[None] | None = None
        self._repairs: dict[int, asyncio.Task[bool]] = {}
        # Accounts that were asked for and are not there: a stranger's calls must not all reach Postgres.
        self._missing: dict[int, float] = {}
        self._refunds: set[asyncio.Task[None]] = set()
        # Debits that went to Postgres: a refund must go the same way.
        self._in_postgres: set[object] = set()
        self._touched: set[int] = set()

    @property
    def redis_gone(self) -> bool:
        """Whether Postgres takes the debits at present."""
        return self._probe is not None

    async def admit(self, debits: Sequence[Debit]) -> list[Decision | StoreUnavailable]:
        """Decide each debit, in order; an exception stands where neither store could.

        Nobody waits for Postgres here while Redis is there: a debit of an account that Redis does not know is
        answered UNKNOWN, and its caller repairs it (`known`) and asks again.
        """
        uncertain = False
        if not self.redis_gone:
            try:
                decisions = await self._quota.debit(debits)
            except StoreUnavailable as e:
                uncertain = e.uncertain
                self._begin_fallback(e)
            else:
                for debit, decision in zip(debits, decisions, strict=True):
                    if debit.units:
                        DEBITS["redis", decision.outcome].inc()
                return list(decisions)
        return list(await asyncio.gather(*(self._directly(d, uncertain=uncertain) for d in debits)))

    async def known(self, account_id: int) -> bool:
        """Bring Redis up to date with an account; False if there is no such account.

        Raises:
            StoreUnavailable: Postgres or Redis did not answer in time.
        """
        missing_since = self._missing.get(account_id)
        if missing_since is not None and time.monotonic() - missing_since < MISSING_S:
            return False
        if self.redis_gone:
            return await self.exists(account_id)
        repair = self._repairs.get(account_id)
        if repair is None:
            # One at a time, whoever asks; it goes on if its first caller hangs up.
            repair = self._repairs[account_id] = asyncio.get_running_loop().create_task(self._repair(account_id))
            repair.add_done_callback(lambda _: self._repairs.pop(account_id, None))
        found = await asyncio.shield(repair)
        if not found:
            if len(self._missing) >= MAX_MISSING:
                self._missing.clear()
            self._missing[account_id] = time.monotonic()
        return found

    async def _repair(self, account_id: int) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._cache.rebuild(account_id)
        except (SQLAlchemyError, TimeoutError) as e:
            log.warning("account %s cannot be read from Postgres: %s", account_id, e)
            raise StoreUnavailable("Postgres", uncertain=False) from e
        except (RedisError, OSError) as e:
            raise StoreUnavailable("Redis", uncertain=False) from e

    async def _directly(self, debit: Debit, *, uncertain: bool) -> Decision | StoreUnavailable:
        try:
            decision = await self._fallback.debit(debit, uncertain=uncertain)
        except StoreUnavailable as e:
            if (uncertain or e.uncertain) and debit.units:
                self.void_later(debit)
            return e
        if decision.admitted and debit.units:
            self._in_postgres.add(debit.debit_id)
            self._touched.add(debit.account_id)
        if debit.units:
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
            except (RedisError, OSError):
                continue
            # What Postgres took is not in Redis yet. Where this fails, settlement does it: the row says so.
            touched, self._touched = self._touched, set()
            await asyncio.gather(*(self._repair(i) for i in touched), return_exceptions=True)
            log.warning("Redis is back and takes the debits again")
            self._probe = None
            FALLBACK.set(0)
            return

    def answered(self, debit: Debit) -> None:
        """The debit was served: there will be no refund."""
        self._in_postgres.discard(debit.debit_id)

    def refund_later(self, debit: Debit) -> None:
        """Give a debit back without making anybody wait; tried until a store takes it."""
        self._give_back(debit, void=False)

    def void_later(self, debit: Debit) -> None:
        """As `refund_later`, for a debit of which nobody knows whether and where it was taken."""
        self._give_back(debit, void=True)

    def _give_back(self, debit: Debit, *, void: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._refund(debit, void=void))
        self._refunds.add(task)
        task.add_done_callback(self._refunds.discard)

    async def _refund(self, debit: Debit, *, void: bool) -> None:
        # Each task for itself: two may void the same debit, and the second must not turn to Redis.
        void = void or debit.debit_id in self._in_postgres
        for _ in range(REFUND_TRIES):
            try:
                if void:
                    await self._fallback.void(debit)
                else:
                    await self._quota.refund(debit)
                self._in_postgres.discard(debit.debit_id)
                REFUNDS.inc()
                return
            except StoreUnavailable as e:
                if e.store == "Redis" and not e.uncertain:
                    # Redis was wiped since: what it settled before is in the ledger.
                    void = True
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
        return await self._from_postgres(self._accounts.owner(credential.key))

    async def exists(self, account_id: int) -> bool:
        """Whether there is such an account.

        Raises:
            StoreUnavailable: Postgres could not be asked.
        """
        return await self._from_postgres(self._accounts.exists(account_id))

    async def _from_postgres(self, question: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await question
        except (SQLAlchemyError, OSError, TimeoutError) as e:
            raise StoreUnavailable("Postgres", uncertain=False) from e

    async def peek(self, debit: Debit) -> Decision | StoreUnavailable:
        """The decision that the debit would meet, without taking anything."""
        return (await self.admit([replace(debit, units=0)]))[0]

    async def settle_refunds(self) -> None:
        """Give the refunds under way a last chance: called when the replica stops."""
        if self._refunds:
            await asyncio.wait(self._refunds, timeout=REFUND_GRACE_S)
