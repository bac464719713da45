"""The usage ledger: every debit counted exactly once, however often and from wherever it arrives.

Three rules carry it. An event's id is its stream id, so a replay inserts nothing. A debit's id is the same in
both stores, so a debit that Redis took and Postgres took again (because the answer of Redis was lost) is booked
with its units once and with zero the second time. And whoever books holds the row locks of the accounts
concerned, in the order of their ids, so the two can never pass each other.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.debits import Debit

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

    @classmethod
    def parse(cls, account_id: int, entry_id: str, fields: Mapping[str, str]) -> "Event":
        """Read what the scripts wrote."""
        return cls(
            account_id=account_id,
            entry_id=entry_id,
            epoch=fields["e"],
            debit_id=uuid.UUID(hex=fields["d"]),
            units=int(fields["u"]),
            route=fields["r"],
        )

    @property
    def stream_id(self) -> str:
        """The ledger's key: the epoch tells a rebuilt stream's ids from those of the stream before it."""
        return f"{self.account_id}-{self.epoch}-{self.entry_id}"

    @property
    def occurred_at(self) -> datetime:
        """The instant on the Redis server's clock; a function of the entry id."""
        return datetime.fromtimestamp(int(self.entry_id.partition("-")[0]) / 1000, UTC)


LOCK = text("SELECT id FROM accounts WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")

BOOK = text("""
WITH batch AS (
    SELECT b.*, EXISTS (
        SELECT FROM usage_events e
        WHERE e.debit_id = b.debit_id AND e.stream_id <> b.stream_id AND e.occurred_at >= :horizon
    ) AS twin
    FROM unnest(
        CAST(:stream_ids AS text[]), CAST(:times AS timestamptz[]), CAST(:debit_ids AS uuid[]),
        CAST(:account_ids AS int[]), CAST(:units AS int[]), CAST(:routes AS text[])
    ) AS b(stream_id, occurred_at, debit_id, account_id, units, route)
    JOIN accounts a ON a.id = b.account_id
), booked AS (
    INSERT INTO usage_events (stream_id, occurred_at, debit_id, account_id, units, route)
    SELECT stream_id, occurred_at, debit_id, account_id, CASE WHEN twin THEN 0 ELSE units END, route FROM batch
    ON CONFLICT DO NOTHING
    RETURNING account_id, occurred_at, units
), sums AS (
    SELECT a.id, count(*) AS events, bool_or(b.units = 0) AS twins,
           coalesce(sum(b.units) FILTER (WHERE b.occurred_at >= a.window_started_at), 0) AS units
    FROM booked b JOIN accounts a ON a.id = b.account_id GROUP BY a.id
), counted AS (
    -- A twin was taken from Redis as well: its keys are one debit too low until they are rebuilt.
    UPDATE accounts a SET quota_used = a.quota_used + s.units, cache_stale = a.cache_stale OR s.twins
    FROM sums s WHERE a.id = s.id
)
SELECT coalesce(sum(events), 0) FROM sums
""")


async def lock_accounts(connection: AsyncConnection, account_ids: Iterable[int]) -> None:
    """Take the row locks, in an order in which nobody can deadlock."""
    await connection.execute(LOCK, {"ids": sorted(set(account_ids))})


async def book(connection: AsyncConnection, events: Sequence[Event]) -> int:
    """Insert events and add the units of those really inserted to their accounts, in the caller's transaction.

    Returns:
        How many were new. Events of accounts that are gone are dropped.

    """
    if not events:
        return 0
    await lock_accounts(connection, (e.account_id for e in events))
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
            "horizon": min(times) - TWIN_HORIZON,
        },
    )
    return int(booked or 0)


async def booked_units(connection: AsyncConnection, debit_id: uuid.UUID) -> int | None:
    """The units booked under a debit id so far; None if it has never been heard of."""
    found: int | None = await connection.scalar(
        text("SELECT sum(units) FROM usage_events WHERE debit_id = :id AND occurred_at >= now() - :horizon"),
        {"id": debit_id, "horizon": TWIN_HORIZON},
    )
    return found


async def book_directly(connection: AsyncConnection, debit: Debit, *, kind: str, units: int) -> bool:
    """Write one event without Redis (`kind`: 'debit' or 'void') and count it; False if it stood there already.

    The caller holds the account's row lock.
    """
    done = await connection.execute(
        text("""
        WITH booked AS (
            INSERT INTO usage_events (stream_id, occurred_at, debit_id, account_id, units, route)
            SELECT :stream_id, now(), :debit_id, :account_id, :units, :route
            WHERE NOT EXISTS (
                SELECT FROM usage_events
                WHERE debit_id = :debit_id AND stream_id = :stream_id AND occurred_at >= now() - :horizon
            )
            RETURNING account_id, units
        )
        UPDATE accounts a SET quota_used = a.quota_used + b.units, cache_stale = true
        FROM booked b WHERE a.id = b.account_id
        """),
        {
            "stream_id": f"pg-{kind}-{debit.debit_id.hex}",
            "debit_id": debit.debit_id,
            "account_id": debit.account_id,
            "units": units,
            "route": debit.route,
            "horizon": TWIN_HORIZON,
        },
    )
    return done.rowcount > 0


async def void(connection: AsyncConnection, debit: Debit) -> bool:
    """Make sure that a debit nets to nothing, whether or not Redis took it and whenever that arrives here.

    Returns:
        False if it had been voided before.

    """
    await lock_accounts(connection, [debit.account_id])
    taken = await booked_units(connection, debit.debit_id)
    return await book_directly(connection, debit, kind="void", units=-(taken or 0))
