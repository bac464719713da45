"""Refunds under way: each goes to the store that took its debit, and is tried until that store answers."""

import asyncio
import logging

from luna_serving.telemetry.metrics import AccessMetrics
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.quota.debits import Debit, StoreUnavailable
from luna_store.quota.redis_quota import RedisQuota

log = logging.getLogger("luna.admission")

RETRY_S = 1.0
TRIES = 600
GRACE_S = 5.0


class Refunds:
    """Keeps refunds alive while this process lives. A charge that has to outlive it is a hold (`access.holds`)."""

    def __init__(self, quota: RedisQuota, fallback: PostgresQuota, metrics: AccessMetrics) -> None:
        self._refunds = metrics.refunds
        self._quota = quota
        self._fallback = fallback
        self._under_way: set[asyncio.Task[None]] = set()
        self._in_postgres: set[object] = set()

    def taken_by_postgres(self, debit: Debit) -> None:
        """Note that Postgres took a debit: its refund must go there, too."""
        self._in_postgres.add(debit.debit_id)

    def served(self, debit: Debit) -> None:
        """Note that there will be no refund."""
        self._in_postgres.discard(debit.debit_id)

    def refund_later(self, debit: Debit) -> None:
        """Give a debit back in the background."""
        self._start(debit, void=False)

    def void_later(self, debit: Debit) -> None:
        """As `refund_later`, for a debit of which it is not known whether and where it was taken."""
        self._start(debit, void=True)

    async def finish(self) -> None:
        """Give the refunds under way a last chance: called when the replica stops."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE_S)

    def _start(self, debit: Debit, *, void: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._refund(debit, void=void))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _refund(self, debit: Debit, *, void: bool) -> None:
        # Each task for itself: two may void the same debit, and the second must not turn to Redis.
        void = void or debit.debit_id in self._in_postgres
        for _ in range(TRIES):
            try:
                if void:
                    await self._fallback.void(debit)
                else:
                    await self._quota.refund(debit)
                self._in_postgres.discard(debit.debit_id)
                self._refunds.inc()
                return
            except StoreUnavailable as e:
                if e.store == "Redis" and not e.uncertain:
                    # Redis was wiped since: what it settled before is in the ledger.
                    void = True
                await asyncio.sleep(RETRY_S)
        log.error("debit %s of account %s was not refunded", debit.debit_id, debit.account_id)
