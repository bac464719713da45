"""Calls that HAProxy sent more than once: the debit of the last attempt stands, earlier ones are voided.

The first attempt of such a call got no answer: its ingress replica died, or lost its connection, and nobody else knows
whether its debit was taken, refunded or voided. The last attempt answers the caller. A void is final and right in each
of these cases (`luna_store.ledger.booking`), and leaves what the last attempt took, refunded or voided.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.quota.attempts import call_of, first_and_last
from luna_store.quota.debits import Debit

# How far apart the debits of one call can lie: HAProxy waits for four answers at most, and two servers' clocks differ.
APART: Final = timedelta(hours=1)


class Taken(Protocol):
    """A debit or a refund that is to be booked."""

    @property
    def account_id(self) -> int:
        """The account."""

    @property
    def debit_id(self) -> UUID:
        """Its id."""

    @property
    def route(self) -> str:
        """Of the call."""

    @property
    def origin(self) -> UUID | None:
        """The debit that a refund gives back; None for a debit."""

    @property
    def occurred_at(self) -> datetime:
        """When it was taken."""


T = TypeVar("T", bound=Taken)

# Rows of the same call that the ledger has: of few debits any. The planner has no statistics of such a range of ids;
# ORDER BY and LIMIT make it read the index.
FIND: Final = text("""
WITH batch AS (
    SELECT * FROM unnest(CAST(:firsts AS uuid[]), CAST(:lasts AS uuid[]), CAST(:account_ids AS int[]))
        WITH ORDINALITY AS b(first, last, account_id, number)
)
SELECT b.number, o.debit_id, min(o.occurred_at),
       bool_or(starts_with(o.stream_id, 'pg-void-') OR starts_with(o.stream_id, 'pg-settle-'))
FROM batch b CROSS JOIN LATERAL (
    SELECT e.debit_id, e.stream_id, e.occurred_at, e.account_id FROM usage_events e
    WHERE e.debit_id BETWEEN b.first AND b.last AND e.occurred_at >= :since
    ORDER BY e.debit_id LIMIT :at_most
) o
WHERE o.account_id = b.account_id
GROUP BY b.number, o.debit_id
""")
# HAProxy makes four attempts, and each has a debit in both stores and a void at most.
AT_MOST: Final = 16


def parts(events: Sequence[T]) -> Iterator[Sequence[T]]:
    """The events in order, in parts with one debit per call at most."""
    begin = 0
    seen: set[int] = set()
    for at, event in enumerate(events):
        if event.origin is not None:
            continue
        call = call_of(event.debit_id)
        if call in seen:
            yield events[begin:at]
            begin = at
            seen.clear()
        seen.add(call)
    yield events[begin:]


async def superseded(connection: AsyncConnection, taken: Sequence[Taken]) -> list[tuple[Debit, datetime]]:
    """The debits that no longer stand once `taken` is booked, each with when it was made: to be voided before.

    Args:
        connection: of a transaction that holds the locks of the accounts.
        taken: what is to be booked; of each call one debit at most.
    """
    debits = [each for each in taken if each.origin is None]
    if not debits:
        return []
    ranges = [first_and_last(each.debit_id) for each in debits]
    rows = await connection.execute(
        FIND,
        {
            "firsts": [first for first, _ in ranges],
            "lasts": [last for _, last in ranges],
            "account_ids": [each.account_id for each in debits],
            "since": min(each.occurred_at for each in debits) - APART,
            "at_most": AT_MOST,
        },
    )
    known: dict[int, list[tuple[UUID, datetime, bool]]] = {}
    for number, debit_id, occurred_at, voided in rows:
        known.setdefault(number - 1, []).append((debit_id, occurred_at, voided))
    found = []
    for at, others in known.items():
        new = debits[at]
        if any(debit_id == new.debit_id for debit_id, _, _ in others):
            continue  # booked or voided before: this is the same event once more, or the other store's
        for debit_id, occurred_at, voided in others:
            if occurred_at > new.occurred_at:
                found.append((Debit(new.account_id, "", (), 0, new.debit_id, new.route), new.occurred_at))
            elif not voided:
                found.append((Debit(new.account_id, "", (), 0, debit_id, new.route), occurred_at))
    return found
