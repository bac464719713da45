"""Chunks, their partitions, and the days that have any."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.capabilities.metrics.store.columns import arrays, column, cut
from luna_serving.capabilities.metrics.store.tables import MetricChunk
from luna_store.platform.partitions import LOCK_TIMEOUT, Days, ensure_partitions

TABLE: Final = MetricChunk.__tablename__
# In a partition, rows up to this size are not moved to TOAST, which would cost a look-up each.
IN_LINE: Final = 8160

_PARTITION = text("SELECT to_regclass(:name) IS NOT NULL")
_ADD = text(f"""
INSERT INTO metric_chunks (account_id, series_id, start_at, generation, span_ms, samples, data)
SELECT :account_id, series_id, to_timestamp(0) + start_ms * interval '1 millisecond', :generation, span_ms, samples,
    {cut("data")}
FROM unnest(
    CAST(:series AS integer[]), CAST(:starts AS bigint[]), CAST(:spans AS integer[]), CAST(:samples AS integer[]),
    {arrays("data")}
) AS c(series_id, start_ms, span_ms, samples, data_at, data_bytes)
ON CONFLICT DO NOTHING
""")  # noqa: S608  names of ours
_MILLISECONDS: Final = "(extract(epoch FROM start_at) * 1000)::bigint"
_READ = text(f"""
SELECT series_id, {_MILLISECONDS} AS start_ms, generation, span_ms, samples,
    CASE WHEN start_at <= :last AND start_at + span_ms * interval '1 millisecond' >= :first THEN data END AS data
FROM metric_chunks
WHERE account_id = :account_id AND series_id = ANY(:series) AND start_at >= :from_day AND start_at < :to_day
""")  # noqa: S608  a constant
_REMOVE = text("""
DELETE FROM metric_chunks
WHERE account_id = :account_id AND series_id = ANY(:series) AND start_at >= :from_day AND start_at < :to_day
    AND generation <= :generation
""")
_FRAGMENTS = text("""
SELECT series_id, count(*) AS chunks, sum(samples) AS samples FROM metric_chunks
WHERE account_id = :account_id AND start_at >= :from_day AND start_at < :to_day GROUP BY series_id ORDER BY series_id
""")
_DIRTY_DAYS = text("""
INSERT INTO metric_days (account_id, day, dirty) SELECT :account_id, unnest(CAST(:days AS date[])), true
ON CONFLICT (account_id, day) DO UPDATE SET dirty = true WHERE NOT metric_days.dirty
""")
_CLEAN_DAY = text("UPDATE metric_days SET dirty = false WHERE account_id = :account_id AND day = :day")
_DAYS = text("SELECT day, dirty FROM metric_days WHERE account_id = :account_id ORDER BY day")


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to be written."""

    series_id: int
    start_ms: int
    span_ms: int
    samples: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk that was read."""

    series_id: int
    start_ms: int
    generation: int
    span_ms: int
    samples: int
    data: bytes | None
    """None if it is outside the times that were asked for."""


async def make_partitions(connection: AsyncConnection, days: Iterable[date]) -> None:
    """Create the missing partitions of days; gives up after 3 s while queries use the table."""
    for day in sorted(set(days)):
        name = partition_of(day)
        if await connection.scalar(_PARTITION, {"name": name}):
            continue
        await connection.execute(LOCK_TIMEOUT)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        await ensure_partitions(connection, TABLE, start, Days(ahead=0))
        if await connection.scalar(_PARTITION, {"name": name}):
            await connection.execute(text(f"ALTER TABLE {name} SET (toast_tuple_target = {IN_LINE})"))


def partition_of(day: date) -> str:
    """The name of the partition of a day."""
    return f"{TABLE}_{day:{Days().suffix}}"


async def add(connection: AsyncConnection, account_id: int, generation: int, chunks: Sequence[NewChunk]) -> None:
    """Add chunks; those that are there already are left alone, so a transaction of unknown outcome can be repeated."""
    values = {
        "account_id": account_id,
        "generation": generation,
        "series": [each.series_id for each in chunks],
        "starts": [each.start_ms for each in chunks],
        "spans": [each.span_ms for each in chunks],
        "samples": [each.samples for each in chunks],
        **column("data", (each.data for each in chunks)),
    }
    await connection.execute(_ADD, values)


async def read(
    connection: AsyncConnection, account_id: int, series: Sequence[int], first_ms: int, last_ms: int
) -> list[StoredChunk]:
    """The chunks of series on the days of a period, in no order; with their data if they reach into the period.

    Args:
        connection: to Postgres.
        account_id: whose.
        series: ids.
        first_ms: of the period, inclusive.
        last_ms: of the period, inclusive.
    """
    first, last = instant(first_ms), instant(last_ms)
    values = {
        "account_id": account_id,
        "series": list(series),
        "first": first,
        "last": last,
        "from_day": _day_of(first),
        "to_day": _day_of(last) + timedelta(days=1),
    }
    found = (await connection.execute(_READ, values)).all()
    return [
        StoredChunk(row[0], row[1], row[2], row[3], row[4], None if row[5] is None else bytes(row[5])) for row in found
    ]


async def remove(
    connection: AsyncConnection, account_id: int, day: date, series: Collection[int], generation: int
) -> None:
    """Remove the chunks of series on a day, up to a generation."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    values = {
        "account_id": account_id,
        "series": list(series),
        "from_day": start,
        "to_day": start + timedelta(days=1),
        "generation": generation,
    }
    await connection.execute(_REMOVE, values)


async def fragments(connection: AsyncConnection, account_id: int, day: date) -> list[tuple[int, int, int]]:
    """Of each series that has chunks on a day: its id, how many chunks, how many samples."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    values = {"account_id": account_id, "from_day": start, "to_day": start + timedelta(days=1)}
    return [(row[0], row[1], int(row[2])) for row in await connection.execute(_FRAGMENTS, values)]


async def mark_days(connection: AsyncConnection, account_id: int, days: Iterable[date]) -> None:
    """Record that chunks came on days."""
    await connection.execute(_DIRTY_DAYS, {"account_id": account_id, "days": sorted(days)})


async def clean_day(connection: AsyncConnection, account_id: int, day: date) -> None:
    """Record that a day was compacted and its roll-ups computed."""
    await connection.execute(_CLEAN_DAY, {"account_id": account_id, "day": day})


async def days_of(connection: AsyncConnection, account_id: int) -> dict[date, bool]:
    """The days of which an account has chunks, and whether they are dirty."""
    return {row.day: row.dirty for row in await connection.execute(_DAYS, {"account_id": account_id})}


def instant(milliseconds: int) -> datetime:
    """An instant from milliseconds since 1970, kept within the calendar."""
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, _LOWEST_MS), _HIGHEST_MS))


def _day_of(when: datetime) -> datetime:
    return when.replace(hour=0, minute=0, second=0, microsecond=0)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOWEST_MS: Final = 0
# The year 2500: no sample is later, and Postgres has it.
_HIGHEST_MS: Final = 16_725_225_600_000
