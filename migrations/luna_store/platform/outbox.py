"""Outboxes: tables of messages to receivers, claimed by deliverers and settled after each try.

A claim moves the message's next try beyond the claim's lease and counts the try. The count is the fence: what a
deliverer settles after its lease has ended changes nothing. One that is killed between sending and settling leaves the
message to be sent once more, under the same id.

A table has the columns `id`, `account_id`, `next_at` (null once it was delivered or given up), `tries`, `delivered_at`
and `last_error`. Who owns the table decides what a message holds.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Longer than a try may take, so that a message is not claimed twice.
LEASE_S: Final = 60.0
# Characters of an error that are kept.
ERROR_LENGTH: Final = 500

# Those of one account are numbered, so that accounts take turns and none has more than its share of the deliverer.
_CLAIM: Final = """
WITH numbered AS (
    SELECT n.id, n.next_at, row_number() OVER (PARTITION BY n.account_id ORDER BY n.next_at, n.{order})
        + coalesce((CAST(:busy AS jsonb) ->> n.account_id::text)::int, 0) AS turn
    FROM {table} n WHERE n.next_at <= clock_timestamp() {first}
), chosen AS (
    SELECT d.id FROM {table} d JOIN numbered n ON n.id = d.id
    WHERE n.turn <= :per_account AND d.next_at <= clock_timestamp()
    ORDER BY n.turn, n.next_at LIMIT :at_most FOR UPDATE OF d SKIP LOCKED
)
UPDATE {table} d SET tries = d.tries + 1, next_at = clock_timestamp() + make_interval(secs => :lease_s)
FROM chosen WHERE d.id = chosen.id
RETURNING {columns}
"""
_FIRST: Final = """AND NOT EXISTS (
    SELECT FROM {table} b WHERE b.{queue} = n.{queue} AND b.next_at IS NOT NULL AND b.{order} < n.{order})"""
_SETTLE: Final = """
UPDATE {table} SET
    delivered_at = CASE WHEN :delivered THEN clock_timestamp() END,
    next_at = clock_timestamp() + make_interval(secs => CAST(:again_in_s AS float8)),
    last_error = :error
WHERE id = :id AND tries = :tries AND delivered_at IS NULL AND next_at IS NOT NULL
"""


class Claimed(Protocol):
    """A message that was claimed."""

    @property
    def id(self) -> uuid.UUID:
        """Of the message."""

    @property
    def tries(self) -> int:
        """The one under way included."""


class Outbox:
    """The messages of one table."""

    def __init__(self, table: str, columns: Sequence[str], *, order: str = "id", queue: str | None = None) -> None:
        """Name the table; its names become part of statements.

        Args:
            table: of the messages.
            columns: what a claim returns of each, as SQL over `d`, the row.
            order: the column by which messages that are due at one time follow each other.
            queue: of messages with the same value in this column one is claimed at a time, in `order`; None for no
                such order.
        """
        names = {"table": table, "order": order, "queue": queue}
        first = "" if queue is None else _FIRST.format(**names)
        self._claim = text(_CLAIM.format(**names, first=first, columns=", ".join(columns)))
        self._settle = text(_SETTLE.format(**names))
        self._waiting = text(f"SELECT count(*) FROM {table} WHERE next_at IS NOT NULL")  # noqa: S608  no value in it

    async def claim(
        self, engine: AsyncEngine, at_most: int, *, per_account: int, busy: Mapping[int, int], lease_s: float = LEASE_S
    ) -> list[dict[str, Any]]:
        """Take messages that are due; safe with several deliverers at once.

        Args:
            engine: of the deliverer.
            at_most: how many.
            per_account: how many of one account it may have under way.
            busy: how many of each account it has under way.
            lease_s: seconds after which another deliverer may try them.
        """
        values = {"at_most": at_most, "per_account": per_account, "busy": json.dumps(dict(busy)), "lease_s": lease_s}
        async with engine.begin() as connection:
            return [dict(row) for row in (await connection.execute(self._claim, values)).mappings()]

    async def settle(
        self, engine: AsyncEngine, message: Claimed, *, delivered: bool, again_in_s: float | None, error: str | None
    ) -> bool:
        """Write down how a try went.

        Args:
            engine: of the deliverer.
            message: as it was claimed.
            delivered: whether the receiver has it.
            again_in_s: seconds until the next try; None for none.
            error: why it was not delivered.

        Returns:
            Whether it was still this deliverer's.
        """
        values = {
            "id": message.id,
            "tries": message.tries,
            "delivered": delivered,
            "again_in_s": again_in_s,
            "error": error and error.replace("\0", "")[:ERROR_LENGTH],
        }
        async with engine.begin() as connection:
            return bool((await connection.execute(self._settle, values)).rowcount)

    async def waiting(self, engine: AsyncEngine) -> int:
        """Messages that are still to be delivered, those to be tried again included."""
        async with engine.connect() as connection:
            return int(await connection.scalar(self._waiting) or 0)
