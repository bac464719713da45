"""Admission: debits in Redis, or in Postgres while Redis is down.

Fails closed: with both stores down nobody is served. A debit keeps its id when it moves from one store to the other, so
the ledger counts it once (see `luna_store.ledger.booking`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from luna_serving.access.redis_outage import RedisOutage
from luna_serving.access.refunds import Refunds
from luna_serving.telemetry.metrics import AccessMetrics
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.quota.debits import Debit, Decision, StoreUnavailable
from luna_store.quota.redis_quota import RedisQuota


class Admission:
    """Chooses the store that decides."""

    def __init__(
        self,
        outage: RedisOutage,
        quota: RedisQuota,
        fallback: PostgresQuota,
        refunds: Refunds,
        metrics: AccessMetrics,
    ) -> None:
        self._outage = outage
        self._quota = quota
        self._fallback = fallback
        self._refunds = refunds
        self._debits = metrics.debits

    async def admit(self, debits: Sequence[Debit]) -> list[Decision | StoreUnavailable]:
        """Decide each debit, in order; StoreUnavailable in place of a decision if neither store answered.

        While Redis is up, does not wait for Postgres: a debit of an account that Redis does not know is decided as
        UNKNOWN, and `access.charges` rebuilds the account and tries again.
        """
        uncertain = False
        if not self._outage.gone:
            try:
                decisions = await self._quota.debit(debits)
            except StoreUnavailable as e:
                uncertain = e.uncertain
                self._outage.begin(e)
            else:
                # Counted per batch: `inc` takes a lock, and costs more than adding up.
                decided: dict[str, int] = {}
                for debit, decision in zip(debits, decisions, strict=True):
                    if debit.units:
                        decided[decision.outcome] = decided.get(decision.outcome, 0) + 1
                for outcome, count in decided.items():
                    self._debits["redis", outcome].inc(count)
                return list(decisions)
        return list(await asyncio.gather(*(self._directly(d, uncertain=uncertain) for d in debits)))

    async def peek(self, debit: Debit) -> Decision | StoreUnavailable:
        """The decision that the debit would get; takes nothing."""
        return (await self.admit([replace(debit, units=0)]))[0]

    async def _directly(self, debit: Debit, *, uncertain: bool) -> Decision | StoreUnavailable:
        try:
            decision = await self._fallback.debit(debit, uncertain=uncertain)
        except StoreUnavailable as e:
            if (uncertain or e.uncertain) and debit.units:
                self._refunds.void_later(debit)
            return e
        if decision.admitted and debit.units:
            self._refunds.taken_by_postgres(debit)
            self._outage.debited(debit.account_id)
        if debit.units:
            self._debits["postgres", decision.outcome].inc()
        return decision
