"""Pending refunds: each goes to the store that took its debit, and is retried until that store answers."""

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
    """Retries refunds while this process lives. A charge that has to outlive the process is a hold (`access.holds`)."""

    def __init__(self, quota: RedisQuota, fallback: PostgresQuota, metrics: AccessMetrics) -> None:
        self._refunds = metrics.refunds
        self._quota = quota
        self._fallback = fallback
        self._under_way: set[asyncio.Task[None]] = set()
        self._in_postgres: set[object] = set()

    def taken_by_postgres(self, debit: Debit) -> None:
        """Record that Postgres took a debit: its refund must go there too."""
        self._in_postgres.add(debit.debit_id)

    def served(self, debit: Debit) -> None:
        """Record that no refund follows."""
        self._in_postgres.discard(debit.debit_id)

    def refund_later(self, debit: Debit) -> None:
        """Refund a debit in the background."""
        self._start(debit, void=False)

    def void_later(self, debit: Debit) -> None:
        """As `refund_later`, for a debit that may or may not have been taken, in either store."""
        self._start(debit, void=True)

    async def finish(self) -> None:
        """Wait for pending refunds, for a bounded time; called when the replica stops."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE_S)

    def _start(self, debit: Debit, *, void: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._refund(debit, void=void))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _refund(self, debit: Debit, *, void: bool) -> None:
        # Recorded per task: two tasks may void the same debit, and the second must not use Redis.
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
                    # Redis was wiped since: the ledger has what was settled before.
                    void = True
                await asyncio.sleep(RETRY_S)
        log.error("debit %s of account %s was not refunded", debit.debit_id, debit.account_id)
