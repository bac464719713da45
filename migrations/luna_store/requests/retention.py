"""Partitions of the request log: made a week ahead, dropped when their rows are old."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_store.platform.partitions import (
    LOCK_TIMEOUT,
    Days,
    drop_partition,
    ensure_partitions,
    expired_days,
)
from luna_store.requests.tables import RequestRow

TABLE: Final = RequestRow.__tablename__
# Rows of the default partition per statement, which ends after 10 s.
ROWS_AT_ONCE: Final = 20_000
_NOW: Final = text("SELECT clock_timestamp()")
_OLD: Final = text(f"""
DELETE FROM {TABLE}_default WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {TABLE}_default WHERE at < :before LIMIT {ROWS_AT_ONCE}
))
""")  # noqa: S608  a table and a number of ours


async def make_days(connection: AsyncConnection, now: datetime | None = None) -> None:
    """Make the missing partitions of today and the next week; gives up after 3 s while queries use the table."""
    await connection.execute(LOCK_TIMEOUT)
    await ensure_partitions(connection, TABLE, now or await _now(connection), Days())


async def old_days(connection: AsyncConnection, days: int, now: datetime | None = None) -> tuple[datetime, list[str]]:
    """The instant from which rows are kept, and the partitions that are older, oldest first.

    Args:
        connection: to Postgres.
        days: whole days (UTC) that rows are kept, apart from today.
        now: an instant of today; by default Postgres' clock.
    """
    today = (now or await _now(connection)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before = today - timedelta(days=days)
    return before, await expired_days(connection, TABLE, before)


async def drop_day(connection: AsyncConnection, partition: str) -> None:
    """Drop a partition from `old_days`."""
    await drop_partition(connection, partition)


async def remove_old_rows(connection: AsyncConnection, before: datetime) -> bool:
    """Remove old rows of days that have no partition of their own; returns whether there may be more."""
    return (await connection.execute(_OLD, {"before": before})).rowcount >= ROWS_AT_ONCE


async def _now(connection: AsyncConnection) -> datetime:
    now: datetime = await connection.scalar(_NOW)
    return now
