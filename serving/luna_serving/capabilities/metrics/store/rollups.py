"""The hourly partials of series by day."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.capabilities.metrics.store.columns import arrays, column, cut

_MARK = text("""
UPDATE metric_rollups SET dirty = true
WHERE account_id = :account_id AND day = :day AND series_id = ANY(:series) AND NOT dirty
""")
_SET = text(f"""
INSERT INTO metric_rollups (account_id, day, series_id, dirty, data)
SELECT :account_id, :day, series_id, false, {cut("data")}
FROM unnest(CAST(:series AS integer[]), {arrays("data")}) AS r(series_id, data_at, data_bytes)
ON CONFLICT (account_id, day, series_id) DO UPDATE SET dirty = false, data = excluded.data
""")  # noqa: S608  names of ours
_READ = text("""
SELECT series_id, day, data FROM metric_rollups
WHERE account_id = :account_id AND day BETWEEN :first AND :last AND series_id = ANY(:series) AND NOT dirty
""")
_CLEAN = text("SELECT series_id FROM metric_rollups WHERE account_id = :account_id AND day = :day AND NOT dirty")


async def mark(connection: AsyncConnection, account_id: int, day: date, series: Collection[int]) -> None:
    """Mark the partials of series on a day: more of their samples are in chunks now."""
    await connection.execute(_MARK, {"account_id": account_id, "day": day, "series": list(series)})


async def set_partials(connection: AsyncConnection, account_id: int, day: date, partials: Mapping[int, bytes]) -> None:
    """Set the partials of series on a day."""
    values = {"account_id": account_id, "day": day, "series": list(partials), **column("data", partials.values())}
    await connection.execute(_SET, values)


async def read(
    connection: AsyncConnection, account_id: int, series: Sequence[int], first: date, last: date
) -> dict[tuple[int, date], bytes]:
    """The partials of series in a period that are not marked."""
    values = {"account_id": account_id, "series": list(series), "first": first, "last": last}
    return {(row[0], row[1]): bytes(row[2]) for row in await connection.execute(_READ, values)}


async def clean(connection: AsyncConnection, account_id: int, day: date) -> set[int]:
    """The series whose partials of a day are not marked."""
    return set(await connection.scalars(_CLEAN, {"account_id": account_id, "day": day}))
