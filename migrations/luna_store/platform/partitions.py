"""Partitions of a table that is partitioned by range of a time column, by month or day: made ahead, dropped when old.

A default partition `<table>_default` (from the table's migration) takes rows of other periods, so no row is refused.
It stays empty if `ensure_partitions` runs at least every two months, or every week for days. A period whose rows are
in the default partition stays there: Postgres would refuse to create its partition.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

MONTHS_AHEAD = 2
DAYS_AHEAD = 7

EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
COLUMN = text("""
SELECT a.attname FROM pg_partitioned_table p
JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
WHERE p.partrelid = to_regclass(:table)
""")
PARTITION = re.compile(r"(?P<parent>.+)_(?:default|y\d{4}m\d{2}(?:d\d{2})?)", re.ASCII)
CHILDREN = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table) ORDER BY 1")
# Creating and dropping wait for every query of the table, and every later query waits for them.
LOCK_TIMEOUT: Final = text("SET LOCAL lock_timeout = '3s'")


@dataclass(frozen=True, slots=True)
class Months:
    """A partition per month (UTC)."""

    ahead: int = MONTHS_AHEAD
    suffix: str = "y%Ym%m"

    def starts(self, now: datetime) -> list[datetime]:
        """The first instants of the current period and of `ahead` + 1 further ones."""
        return month_starts(now, self.ahead)


@dataclass(frozen=True, slots=True)
class Days:
    """A partition per day (UTC)."""

    ahead: int = DAYS_AHEAD
    suffix: str = "y%Ym%md%d"

    def starts(self, now: datetime) -> list[datetime]:
        """The first instants of the current period and of `ahead` + 1 further ones."""
        first = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return [first + timedelta(days=n) for n in range(self.ahead + 2)]


def month_starts(now: datetime, months_ahead: int = MONTHS_AHEAD) -> list[datetime]:
    """The first instants (UTC) of the current month and of `months_ahead` + 1 further ones."""
    first = now.year * 12 + now.month - 1
    return [datetime(m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in range(first, first + months_ahead + 2)]


def partitioned(metadata: MetaData) -> frozenset[str]:
    """The tables that are declared as partitioned."""
    return frozenset(t.name for t in metadata.tables.values() if t.dialect_options["postgresql"]["partition_by"])


def is_partition(table: str, parents: Collection[str]) -> bool:
    """Whether a table is a partition that this module or a migration created for one of `parents`."""
    match = PARTITION.fullmatch(table)
    return match is not None and match["parent"] in parents


async def ensure_partitions(
    connection: AsyncConnection, table: str, now: datetime, per: Months | Days = Months()
) -> None:
    """Create the missing partitions of this period and the next ones.

    Args:
        connection: the caller's transaction; if a partition is created, the table is locked until its end.
        table: one of Luna's tables, partitioned by range of a time column.
        now: an instant in this period.
        per: the length of the periods.

    Raises:
        ValueError: there is no such table, or it is not partitioned.
    """
    column = await connection.scalar(COLUMN, {"table": table})
    if column is None:
        raise ValueError(f"{table} is not a partitioned table.")
    late = text(f"SELECT EXISTS (SELECT FROM {table}_default WHERE {column} >= :start AND {column} < :end)")  # noqa: S608  names of our schema
    # Several processes may start together.
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('luna.partitions'))"))
    locked = False
    for start, end in pairwise(per.starts(now)):
        name = f"{table}_{start:{per.suffix}}"
        span = {"start": start, "end": end}
        if await connection.scalar(EXISTS, {"name": name}) or await connection.scalar(late, span):
            continue
        if not locked:
            # Wait for inserts in progress. CREATE takes this lock as well; taken here, it comes before those of the
            # partitions, as everywhere else: the other order would deadlock.
            await connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            locked = True
            if await connection.scalar(late, span):
                continue
        await connection.execute(
            text(
                f"CREATE TABLE {name} PARTITION OF {table} "
                f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
            )
        )


async def expired_days(connection: AsyncConnection, table: str, before: datetime) -> list[str]:
    """The daily partitions of a table that end at or before an instant, oldest first."""
    names = await connection.scalars(CHILDREN, {"table": table})
    last = f"{table}_{before.astimezone(UTC) - timedelta(days=1):{Days().suffix}}"
    # Names of days sort as their days; those of other periods and the default partition have another length.
    return [name for name in names if len(name) == len(last) and is_partition(name, {table}) and name <= last]


async def drop_partition(connection: AsyncConnection, name: str) -> None:
    """Drop a partition from `expired_days`; gives up after 3 s while queries use its table."""
    await connection.execute(LOCK_TIMEOUT)
    await connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
