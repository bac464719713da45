"""Monthly partitions of the ledger, made ahead of time.

A default partition catches what no month holds, so no event is ever refused; it stays empty as long as this
runs once in two months. A month whose events already lie in the default partition stays there: Postgres would
refuse to make its partition.
"""

from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MONTHS_AHEAD = 2

EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
LATE = text("SELECT EXISTS (SELECT FROM usage_events_default WHERE occurred_at >= :start AND occurred_at < :end)")
# The lock that CREATE takes as well, on the parent before its partitions as everybody: the other order would deadlock.
LOCK = text("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")


def month_starts(now: datetime, months_ahead: int = MONTHS_AHEAD) -> list[datetime]:
    """The first instants (UTC) of the current month and of `months_ahead` + 1 further ones."""
    first = now.year * 12 + now.month - 1
    return [datetime(m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in range(first, first + months_ahead + 2)]


async def ensure_partitions(connection: AsyncConnection, now: datetime) -> None:
    """Make the partitions of this month and the next two, where they are missing."""
    # Several settlers may start together.
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('luna.partitions'))"))
    locked = False
    for start, end in pairwise(month_starts(now)):
        name = f"usage_events_y{start:%Y}m{start:%m}"
        if await connection.scalar(EXISTS, {"name": name}) or await connection.scalar(
            LATE, {"start": start, "end": end}
        ):
            continue
        if not locked:
            # What is being booked must be seen, too.
            await connection.execute(LOCK)
            locked = True
            if await connection.scalar(LATE, {"start": start, "end": end}):
                continue
        await connection.execute(
            text(
                f"CREATE TABLE {name} PARTITION OF usage_events "
                f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
            )
        )
