"""Removes versions: rows first, objects afterwards. What a process that dies in between leaves, the sweep finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

AT_ONCE = 100
# A version is superseded when the next one is published; the newest never is.
_PRUNE = text("""
DELETE FROM price_versions WHERE id IN (
    SELECT v.id FROM price_versions v JOIN price_markets m ON m.id = v.market_id
    JOIN LATERAL (
        SELECT min(n.published_at) AS at FROM price_versions n
        WHERE n.market_id = v.market_id AND n.version > v.version
    ) superseded ON true
    WHERE m.account_id IS NULL AND v.version IS NOT NULL AND superseded.at < now() - CAST(:kept AS interval)
    ORDER BY v.version LIMIT :at_most
) RETURNING arrow_key, parquet_key
""")
_UNFINISHED = text("""
DELETE FROM price_versions WHERE version IS NULL AND created_at < now() - CAST(:idle AS interval)
RETURNING arrow_key, parquet_key
""")
_NAMED = text("""
SELECT arrow_key FROM price_versions WHERE arrow_key = ANY(:keys)
UNION ALL SELECT parquet_key FROM price_versions WHERE parquet_key = ANY(:keys)
""")
_GAUGES = text("""
SELECT count(*) AS versions, coalesce(max(v.version), 0) AS newest,
    extract(epoch FROM max(v.published_at)) AS published,
    coalesce((array_agg(v.bars ORDER BY v.version DESC))[1], 0) AS bars,
    coalesce((array_agg(extract(epoch FROM v.last_at) ORDER BY v.version DESC))[1], 0) AS last_bar
FROM price_versions v JOIN price_markets m ON m.id = v.market_id
WHERE m.account_id IS NULL AND v.version IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class MarketState:
    """The server's market in numbers."""

    versions: int
    newest: int
    """0 without one."""
    bars: int
    published: float
    """Unix time of the newest version; 0 without one."""
    last_bar: float
    """Unix time of the start of its last bar."""


async def prune(connection: AsyncConnection, kept: timedelta) -> list[str]:
    """Remove versions that were superseded so long ago; returns keys that are garbage now."""
    return _keys((await connection.execute(_PRUNE, {"kept": kept, "at_most": AT_ONCE})).all())


async def remove_unfinished(connection: AsyncConnection, idle: timedelta) -> list[str]:
    """Remove claims that were made so long ago and never published; returns keys that are garbage now."""
    return _keys((await connection.execute(_UNFINISHED, {"idle": idle})).all())


async def named(engine: AsyncEngine, keys: Sequence[str]) -> Sequence[str]:
    """Those of some keys that a version names."""
    async with engine.connect() as connection:
        return list(await connection.scalars(_NAMED, {"keys": list(keys)}))


async def state(engine: AsyncEngine) -> MarketState:
    """The server's market in numbers."""
    async with engine.connect() as connection:
        row = (await connection.execute(_GAUGES)).one()
    return MarketState(row.versions, row.newest, row.bars, float(row.published or 0), float(row.last_bar))


def _keys(rows: Sequence[tuple[str, str | None]]) -> list[str]:
    return [key for row in rows for key in row if key is not None]
