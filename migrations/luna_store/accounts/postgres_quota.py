"""Debits in Postgres alone, while Redis is down: slower, exact, and closed on errors.

Postgres does not know the debits that wait in the unreachable event stream, so an account near its limit can be served
at most those units too many (settlement runs four times a second). All of them are counted later.
"""

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Row, func, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.rows import LIVE_SESSIONS
from luna_store.accounts.tables import Account, ApiKey
from luna_store.accounts.window_rows import roll_window
from luna_store.grants import is_granted
from luna_store.ledger.booking import book_directly, booked_units, void
from luna_store.limits import in_force
from luna_store.platform.postgres import POSTGRES_GONE
from luna_store.quota import gcra
from luna_store.quota.debits import Debit, Decision, Outcome, Standing, StoreUnavailable
from luna_store.quota.windows import QuotaWindow, milliseconds, window_end, window_seconds

# Buckets of the busiest accounts; a bucket that was evicted starts full.
MAX_BUCKETS = 10_000


class PostgresQuota:
    """The same decisions as `RedisQuota`, from the rows. Rate limits apply per process."""

    def __init__(self, engine: AsyncEngine, *, timeout_s: float = 5.0) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._arrivals: OrderedDict[int, int] = OrderedDict()

    async def debit(self, debit: Debit, *, uncertain: bool) -> Decision:
        """Decide one debit in one transaction.

        Args:
            debit: what to decide.
            uncertain: Redis may have taken the same debit; the one that is booked second counts nothing.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        reached = False
        try:
            async with asyncio.timeout(self._timeout_s), self._engine.begin() as connection:
                reached = True
                decision, known = await self._decide(connection, debit, uncertain=uncertain)
                if uncertain and debit.units and known and not decision.admitted:
                    # Redis may have taken the debit that is denied here.
                    await void(connection, debit)
                return decision
        except POSTGRES_GONE as e:
            raise StoreUnavailable("Postgres", uncertain=reached) from e

    async def void(self, debit: Debit) -> bool:
        """Make a debit net to nothing, in whichever store it was taken; False if it was voided before.

        Raises:
            StoreUnavailable: Postgres did not answer; call again.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._engine.begin() as connection:
                return await void(connection, debit)
        except POSTGRES_GONE as e:
            raise StoreUnavailable("Postgres", uncertain=True) from e

    async def _decide(self, connection: AsyncConnection, debit: Debit, *, uncertain: bool) -> tuple[Decision, bool]:
        """Decide, and say whether the key is (or was) the account's: unknown callers leave no trace."""
        now = (await connection.execute(select(func.now()))).scalar_one()
        row = await roll_window(connection, debit.account_id, now)
        if row is None:
            return Decision(Outcome.UNKNOWN), False
        key = (await connection.execute(_acting(row.id, debit.key_prefix))).one_or_none()
        if key is None:
            return Decision(Outcome.KEY), False
        matches = [hmac.compare_digest(key.digest, digest) for digest in debit.key_digests]
        if matches and not any(matches):
            return Decision(Outcome.KEY), False
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            return Decision(Outcome.KEY), True
        return await self._admit(connection, row, debit, now=now, uncertain=uncertain), True

    async def _admit(
        self, connection: AsyncConnection, row: Row[tuple[Account]], debit: Debit, *, now: datetime, uncertain: bool
    ) -> Decision:
        denied = _refused(row, debit, now)
        if denied is not None:
            outcome, exceeded = denied
            standing = self._standing(row, row.quota_used, tokens=self._bucket(row, 0).tokens_left)
            return Decision(outcome, standing, exceeded)
        return await self._take(connection, row, debit, now=now, uncertain=uncertain)

    async def _take(
        self, connection: AsyncConnection, row: Row[tuple[Account]], debit: Debit, *, now: datetime, uncertain: bool
    ) -> Decision:
        rate = self._bucket(row, min(1, debit.units))
        if not rate.admitted:
            return Decision(Outcome.RATE, self._standing(row, row.quota_used, tokens=0, wait_us=rate.wait_us))
        if not debit.units:
            return Decision(Outcome.OK, self._standing(row, row.quota_used, tokens=rate.tokens_left))
        if uncertain and await booked_units(connection, debit):
            # Redis took it, and settlement has booked it already.
            return Decision(Outcome.OK, self._standing(row, row.quota_used, tokens=rate.tokens_left))
        used = row.quota_used + debit.units
        if used > row.quota_limit:
            # The token is not taken.
            tokens = self._bucket(row, 0).tokens_left
            return Decision(Outcome.QUOTA, self._standing(row, row.quota_used, tokens=tokens))
        await book_directly(connection, debit, now)
        self._arrivals[row.id] = rate.tat_us
        self._arrivals.move_to_end(row.id)
        if len(self._arrivals) > MAX_BUCKETS:
            self._arrivals.popitem(last=False)
        return Decision(Outcome.OK, self._standing(row, used, tokens=rate.tokens_left))

    def _bucket(self, row: Row[tuple[Account]], tokens: int) -> gcra.Rate:
        return gcra.take(
            self._arrivals.get(row.id, 0),
            time.time_ns() // 1000,
            interval_us=gcra.interval_us(row.rate_per_second),
            burst=row.rate_burst,
            tokens=tokens,
        )

    @staticmethod
    def _standing(row: Row[tuple[Account]], used: int, *, tokens: int, wait_us: int = 0) -> Standing:
        window = QuotaWindow(row.quota_window)
        return Standing(
            quota_limit=row.quota_limit,
            quota_left=row.quota_limit - used,
            window_ends_at_ms=milliseconds(window_end(window, row.window_started_at)),
            window_s=window_seconds(window, row.window_started_at),
            burst=row.rate_burst,
            tokens_left=tokens,
            interval_us=gcra.interval_us(row.rate_per_second),
            wait_us=wait_us,
            limits=in_force(row.limits),
        )


def _acting(account_id: int, prefix: str) -> CompoundSelect[Any]:
    """The key, or the session, of a name."""
    keys = select(ApiKey.digest, ApiKey.expires_at, ApiKey.revoked_at)
    sessions = select(literal(""), LIVE_SESSIONS.c.expires_at, null())
    return union_all(
        keys.where(ApiKey.prefix == prefix, ApiKey.account_id == account_id),
        sessions.where(LIVE_SESSIONS.c.principal == prefix, LIVE_SESSIONS.c.account_id == account_id),
    )


def _refused(row: Row[tuple[Account]], debit: Debit, now: datetime) -> tuple[Outcome, str | None] | None:
    """Why the account may not send this at any rate or usage, and the limit that is exceeded.

    None: it may send it.
    """
    if row.state != "active":
        return Outcome.SUSPENDED, None
    if row.expires_at is not None and row.expires_at <= now:
        return Outcome.EXPIRED, None
    if debit.grant and not is_granted(row.allowed, debit.grant.capability, debit.grant.name):
        return Outcome.GRANT, None
    if not debit.units:
        return None
    most = in_force(row.limits)
    exceeded = next((name for name, amount in debit.amounts.items() if amount > most.get(name, math.inf)), None)
    return None if exceeded is None else (Outcome.LIMIT, exceeded)
