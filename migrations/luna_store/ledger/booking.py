"""The usage ledger: every debit counts exactly once, however often and from whichever store it arrives.

Four rules ensure it. An event's id is its stream id, so a replay inserts nothing. A debit's id is the same in both
stores, so a debit that Redis took and Postgres took again (because the answer of Redis was lost) is booked with its
units once and with zero the second time. Of the debits of a call that HAProxy sent again, the last one stands and
the others are voided (`ledger.attempts`). A booking holds the row locks of its accounts, taken in the order of their
ids, so two bookings of a debit never overlap.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.ledger import attempts
from luna_store.quota.debits import Debit

# How far apart the two bookings of one debit can lie: the longest outage of Postgres that a Redis stream waits for.
TWIN_HORIZON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of an account's stream."""

    account_id: int
    entry_id: str
    """The Redis stream id, `<ms>-<n>`."""
    epoch: str
    debit_id: uuid.UUID
    units: int
    route: str
    origin: uuid.UUID | None = None
    """The debit that a refund gives back; None for other events."""
    traceparent: str = ""
    """The span of the request that was debited; empty where it was not traced."""

    @classmethod
    def parse(cls, account_id: int, entry_id: str, fields: Mapping[str, str]) -> "Event":
        """Parse an entry that the scripts wrote."""
        return cls(
            account_id=account_id,
            entry_id=entry_id,
            epoch=fields["e"],
            debit_id=uuid.UUID(hex=fields["d"]),
            units=int(fields["u"]),
            route=fields["r"],
            origin=uuid.UUID(hex=fields["o"]) if "o" in fields else None,
            traceparent=fields.get("t", ""),
        )

    @property
    def stream_id(self) -> str:
        """The ledger's key: the epoch tells a rebuilt stream's ids from those of the stream before it."""
        return f"{self.account_id}-{self.epoch}-{self.entry_id}"

    @property
    def occurred_at(self) -> datetime:
        """The instant of the event on the Redis server's clock, from the entry id."""
        return datetime.fromtimestamp(int(self.entry_id.partition("-")[0]) / 1000, UTC)


LOCK = text("SELECT id FROM accounts WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")

BOOK = text("""
WITH batch AS (
    SELECT * FROM unnest(
        CAST(:stream_ids AS text[]), CAST(:times AS timestamptz[]), CAST(:debit_ids AS uuid[]),
        CAST(:account_ids AS int[]), CAST(:units AS int[]), CAST(:routes AS text[]), CAST(:origins AS uuid[])
    ) AS b(stream_id, occurred_at, debit_id, account_id, units, route, origin)
), judged AS (
    SELECT b.*,
        -- Whether it was booked already, from the other store.
        EXISTS (
            SELECT FROM usage_events e
            WHERE e.debit_id = b.debit_id AND e.stream_id <> b.stream_id AND e.occurred_at >= :horizon
        ) AS twin,
        -- When the debit of a refund was made. Null where there is nothing to give back: Redis lost the debit, or it
        -- was voided or settled (`correct`), which is final.
        CASE WHEN b.origin IS NULL THEN b.occurred_at WHEN EXISTS (
            SELECT FROM usage_events e
            WHERE e.debit_id = b.origin AND e.occurred_at >= :horizon
                AND (starts_with(e.stream_id, 'pg-void-') OR starts_with(e.stream_id, 'pg-settle-'))
        ) THEN NULL ELSE coalesce(
            (SELECT min(e.occurred_at) FROM usage_events e WHERE e.debit_id = b.origin AND e.occurred_at >= :horizon),
            (SELECT min(o.occurred_at) FROM batch o WHERE o.debit_id = b.origin)
        ) END AS debited_at
    FROM batch b JOIN accounts a ON a.id = b.account_id
), booked AS (
    INSERT INTO usage_events (stream_id, occurred_at, debit_id, account_id, units, route, origin)
    SELECT stream_id, occurred_at, debit_id, account_id,
           CASE WHEN twin OR debited_at IS NULL THEN 0 ELSE units END, route, origin
    FROM judged
    ON CONFLICT DO NOTHING
    RETURNING stream_id, account_id, units
), sums AS (
    SELECT a.id, count(*) AS events,
           -- Redis counted what is not counted here: its keys are wrong until they are rebuilt.
           bool_or(b.units = 0 OR j.debited_at < a.window_started_at) AS off,
           coalesce(sum(b.units) FILTER (WHERE j.debited_at >= a.window_started_at), 0) AS units
    FROM booked b JOIN judged j ON j.stream_id = b.stream_id JOIN accounts a ON a.id = b.account_id
    GROUP BY a.id
), counted AS (
    UPDATE accounts a SET quota_used = a.quota_used + s.units, cache_stale = a.cache_stale OR s.off
    FROM sums s WHERE a.id = s.id
)
SELECT coalesce(sum(events), 0) FROM sums
""")


async def lock_accounts(connection: AsyncConnection, account_ids: Iterable[int]) -> set[int]:
    """Take the row locks in the order of ids, which cannot deadlock; returns the accounts that exist."""
    return set(await connection.scalars(LOCK, {"ids": sorted(set(account_ids))}))


async def book(connection: AsyncConnection, events: Sequence[Event]) -> int:
    """Insert events and add the units of those that are new to their accounts, in the caller's transaction.

    Returns:
        How many were new. Events of accounts that no longer exist are dropped.
    """
    if not events:
        return 0
    await lock_accounts(connection, (e.account_id for e in events))
    booked = 0
    for part in attempts.parts(events):
        await void_superseded(connection, part)
        booked += await _booked(connection, part)
    return booked


async def void_superseded(connection: AsyncConnection, taken: Sequence[attempts.Taken]) -> None:
    """Void the debits that do not stand beside `taken`, which is booked next; the caller holds the accounts' locks."""
    for debit, made_at in await attempts.superseded(connection, taken):
        await correct(connection, debit, 0, debited_at=made_at)


async def _booked(connection: AsyncConnection, events: Sequence[Event]) -> int:
    times = [e.occurred_at for e in events]
    booked = await connection.scalar(
        BOOK,
        {
            "stream_ids": [e.stream_id for e in events],
            "times": times,
            "debit_ids": [e.debit_id for e in events],
            "account_ids": [e.account_id for e in events],
            "units": [e.units for e in events],
            "routes": [e.route for e in events],
            "origins": [e.origin for e in events],
            "horizon": min(times) - TWIN_HORIZON,
        },
    )
    return int(booked or 0)


async def booked_units(connection: AsyncConnection, debit: Debit) -> int | None:
    """What a debit nets to so far, its refund included; None for an unknown debit."""
    found: int | None = await connection.scalar(
        text("""
        SELECT sum(units) FROM usage_events
        WHERE debit_id IN (:debit, :refund) AND occurred_at >= now() - :horizon
        """),
        {"debit": debit.debit_id, "refund": debit.refund_id, "horizon": TWIN_HORIZON},
    )
    return found


@dataclass(frozen=True, slots=True)
class _Direct:
    """A debit that Postgres takes or voids itself."""

    account_id: int
    debit_id: uuid.UUID
    route: str
    occurred_at: datetime
    origin: None = None


async def book_directly(connection: AsyncConnection, debit: Debit, now: datetime) -> None:
    """Take a debit without Redis, at `now`.

    The caller holds the account's row lock and knows that the debit was not taken yet.
    """
    await void_superseded(connection, [_Direct(debit.account_id, debit.debit_id, debit.route, now)])
    await connection.execute(
        text("""
        WITH booked AS (
            INSERT INTO usage_events (stream_id, occurred_at, debit_id, account_id, units, route)
            VALUES (:stream_id, now(), :debit_id, :account_id, :units, :route)
        )
        UPDATE accounts SET quota_used = quota_used + :units, cache_stale = true WHERE id = :account_id
        """),
        {
            "stream_id": f"pg-debit-{debit.debit_id.hex}",
            "debit_id": debit.debit_id,
            "account_id": debit.account_id,
            "units": debit.units,
            "route": debit.route,
        },
    )


async def void(connection: AsyncConnection, debit: Debit) -> bool:
    """Make a debit net to nothing, whether or not Redis took it and whenever its event arrives.

    Returns:
        False if it was voided before.
    """
    await lock_accounts(connection, [debit.account_id])
    await void_superseded(connection, [_Direct(debit.account_id, debit.debit_id, debit.route, datetime.now(UTC))])
    return await correct(connection, debit, 0)


CORRECT = text("""
WITH taken AS (
    SELECT count(e.stream_id) > 0 AS booked, coalesce(sum(e.units), 0) AS units,
           -- Units of an earlier window no longer count.
           coalesce(min(e.occurred_at), :debited_at, now()) >= a.window_started_at AS counts
    FROM accounts a LEFT JOIN usage_events e ON e.debit_id IN (:debit_id, :refund_id) AND e.occurred_at >= :since
    WHERE a.id = :account_id GROUP BY a.id
), booked AS (
    INSERT INTO usage_events (stream_id, occurred_at, debit_id, account_id, units, route)
    SELECT :stream_id, CASE WHEN booked THEN now() ELSE coalesce(:debited_at, now()) END,
           :debit_id, :account_id, :units - units, :route
    FROM taken
    -- A void is written even where it changes nothing: it names a debit that may still arrive from Redis.
    WHERE (units <> :units OR :units = 0) AND NOT EXISTS (
        SELECT FROM usage_events WHERE debit_id = :debit_id AND stream_id = :stream_id AND occurred_at >= :since
    )
    RETURNING account_id, units
)
UPDATE accounts a SET quota_used = a.quota_used + CASE WHEN t.counts THEN b.units ELSE 0 END, cache_stale = true
FROM booked b, taken t WHERE a.id = b.account_id
""").bindparams(bindparam("debited_at", type_=DateTime(timezone=True)))


async def correct(connection: AsyncConnection, debit: Debit, units: int, *, debited_at: datetime | None = None) -> bool:
    """Make a debit net to `units`, whether or not Redis took it and whenever its event arrives.

    An event that arrives later finds the correction under its own debit id and counts nothing (see `BOOK`). Rebuilding
    the account brings the difference to Redis.

    Args:
        connection: of the caller's transaction.
        debit: the debit to correct.
        units: what remains of it, 0 for a void.
        debited_at: about when it was made, if not just now; decides the window in which the units count if the
            ledger does not have the debit yet.

    Returns:
        False if nothing had to be corrected, or it was corrected before.
    """
    await lock_accounts(connection, [debit.account_id])
    since = (debited_at or datetime.now(UTC)) - TWIN_HORIZON
    done = await connection.execute(
        CORRECT,
        {
            "stream_id": f"pg-{'settle' if units else 'void'}-{debit.debit_id.hex}",
            "debit_id": debit.debit_id,
            "refund_id": debit.refund_id,
            "account_id": debit.account_id,
            "units": units,
            "route": debit.route,
            "debited_at": debited_at,
            "since": since,
        },
    )
    return done.rowcount > 0
