"""Usage history: the ledger summed by hour or day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

Step = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """Units of one route in one step of time."""

    start: datetime
    """The first instant of the hour or day, UTC."""
    route: str
    units: int
    """Debited less refunded."""
    calls: int
    """Debits, not counting those that were refunded."""


async def usage(
    engine: AsyncEngine, account_id: int, *, since: datetime, until: datetime, step: Step
) -> Sequence[UsagePoint]:
    """An account's usage in [since, until), oldest first; steps without usage are left out."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("""
            SELECT date_trunc(:step, occurred_at, 'UTC') AS start, route, sum(units) AS units,
                   count(*) FILTER (WHERE units > 0)
                       -- A hold that was settled to less than was reserved is still a call.
                       - count(*) FILTER (WHERE units < 0 AND NOT starts_with(stream_id, 'pg-settle-')) AS calls
            FROM usage_events
            WHERE account_id = :account_id AND occurred_at >= :since AND occurred_at < :until
            GROUP BY 1, 2 ORDER BY 1, 2
            """),
            {"step": step, "account_id": account_id, "since": since, "until": until},
        )
        return [UsagePoint(row.start, row.route, int(row.units), int(row.calls)) for row in rows]
