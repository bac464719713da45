"""Removes what is older than the retention, and what deleted accounts leave."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.metrics.store.chunks import TABLE, make_partitions
from luna_store.platform.partitions import DAYS_AHEAD, drop_partition, expired_days

# Rows per statement, which must end within ten seconds.
ROWS_AT_ONCE: Final = 5_000

_OLD_CHUNKS: Final = text(f"""
DELETE FROM metric_chunks c USING (
    SELECT series_id, start_at, generation FROM metric_chunks
    WHERE account_id = :account_id AND start_at < :before LIMIT {ROWS_AT_ONCE}
) o WHERE c.account_id = :account_id AND c.series_id = o.series_id AND c.start_at = o.start_at
    AND c.generation = o.generation
""")  # noqa: S608  a number of ours
_OLD_ROLLUPS: Final = text(f"""
DELETE FROM metric_rollups r USING (
    SELECT day, series_id FROM metric_rollups WHERE account_id = :account_id AND day < :before LIMIT {ROWS_AT_ONCE}
) o WHERE r.account_id = :account_id AND r.day = o.day AND r.series_id = o.series_id
""")  # noqa: S608
_OLD_DAYS: Final = text("DELETE FROM metric_days WHERE account_id = :account_id AND day < :before")
_KEPT_LONGEST: Final = text("""
SELECT max((a.limits ->> 'metrics.retention_days')::integer)
FROM accounts a JOIN metric_accounts m ON m.account_id = a.id
""")
FAR: Final = date(2500, 1, 1)


async def remove_some(connection: AsyncConnection, account_id: int, before: date) -> bool:
    """Remove chunks and roll-ups of days before a date; returns whether there may be more."""
    values = {"account_id": account_id, "before": datetime(before.year, before.month, before.day, tzinfo=UTC)}
    removed = [(await connection.execute(_OLD_CHUNKS, values)).rowcount]
    removed.append((await connection.execute(_OLD_ROLLUPS, {"account_id": account_id, "before": before})).rowcount)
    return max(removed) >= ROWS_AT_ONCE


async def forget_days(connection: AsyncConnection, account_id: int, before: date) -> None:
    """Forget that an account had chunks on days before a date."""
    await connection.execute(_OLD_DAYS, {"account_id": account_id, "before": before})


async def remove_account(engine: AsyncEngine, account_id: int) -> None:
    """Remove all chunks and roll-ups of an account, some per transaction."""
    more = True
    while more:
        async with engine.begin() as connection:
            more = await remove_some(connection, account_id, FAR)


async def make_days(connection: AsyncConnection, today: date) -> None:
    """Make the missing partitions of today and the next week."""
    await make_partitions(connection, [today + timedelta(days=n) for n in range(DAYS_AHEAD + 1)])


async def old_partitions(connection: AsyncConnection, today: date, default_days: int) -> list[str]:
    """The partitions that no account keeps any more, oldest first.

    Args:
        connection: to Postgres.
        today: in UTC.
        default_days: the retention of accounts for which none is set.
    """
    longest = max(await connection.scalar(_KEPT_LONGEST) or 0, default_days)
    start = datetime(today.year, today.month, today.day, tzinfo=UTC)
    # A day more: shards cut at the instant, partitions at midnight.
    return await expired_days(connection, TABLE, start - timedelta(days=longest + 1))


async def drop(connection: AsyncConnection, partition: str) -> None:
    """Drop a partition; gives up after 3 s while queries use its table."""
    await drop_partition(connection, partition)
