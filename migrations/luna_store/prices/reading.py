"""Reads markets: the current versions that an account sees, their instruments, and where bars are."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Of each market the newest version that was published by then. `own` sorts an account's markets before the server's,
# and its newest before the others.
_CURRENT: Final = """
current AS (
    SELECT DISTINCT ON (v.market_id) v.id, v.version, v.arrow_key, v.digest AS file_digest, v.bytes AS file_bytes,
        v.last_at AS market_last, v.published_at, v.dataset_id, m.account_id, m.name AS market
    FROM price_versions v JOIN price_markets m ON m.id = v.market_id
    WHERE (m.account_id = :account_id OR (m.account_id IS NULL AND :server))
        AND v.version IS NOT NULL AND (CAST(:as_of AS timestamptz) IS NULL OR v.published_at <= :as_of)
    ORDER BY v.market_id, v.version DESC
)
"""
_FIRST: Final = "(c.account_id IS NULL), c.published_at DESC, c.id DESC"
_LOCATED: Final = """
s.symbol, s.interval, s.first_row, s.bars, s.first_at, s.last_at, i.actions, c.version, c.arrow_key, c.file_digest,
c.file_bytes, c.market_last, c.published_at, c.account_id, c.market, d.digest AS dataset_digest
"""
_JOINED: Final = """
current c JOIN price_series s ON s.version_id = c.id
JOIN price_instruments i ON i.version_id = s.version_id AND i.symbol = s.symbol
LEFT JOIN datasets d ON d.id = c.dataset_id
"""
_LOCATE = text(f"""
WITH {_CURRENT}
SELECT DISTINCT ON (s.symbol) {_LOCATED} FROM {_JOINED}
WHERE s.symbol = ANY(:symbols) AND s.interval = :interval
ORDER BY s.symbol, {_FIRST}
""")  # noqa: S608  constants
_DATASET = text("""
SELECT v.id, m.name, v.version FROM price_versions v JOIN price_markets m ON m.id = v.market_id
WHERE m.account_id = :account_id AND v.version IS NOT NULL AND (
    v.dataset_id = :dataset_id
    OR (m.name = :name AND (CAST(:version AS integer) IS NULL OR v.version = :version))
) ORDER BY v.version DESC LIMIT 1
""")
_OF_VERSION = text(f"""
WITH current AS (
    SELECT v.id, v.version, v.arrow_key, v.digest AS file_digest, v.bytes AS file_bytes, v.last_at AS market_last,
        v.published_at, v.dataset_id, m.account_id, m.name AS market
    FROM price_versions v JOIN price_markets m ON m.id = v.market_id WHERE v.id = :version_id
)
SELECT {_LOCATED} FROM {_JOINED}
WHERE (CAST(:symbols AS text[]) IS NULL OR s.symbol = ANY(:symbols))
    AND (CAST(:interval AS text) IS NULL OR s.interval = :interval)
ORDER BY s.symbol, s.interval LIMIT :at_most
""")  # noqa: S608
_INSTRUMENT: Final = """
f.symbol, f.name, f.exchange, f.currency, f.type, f.actions, f.version, f.account_id, f.market,
t.intervals, t.first_at, t.last_at, t.bars
"""
_TOTALS: Final = """
JOIN LATERAL (
    SELECT array_agg(s.interval) AS intervals, min(s.first_at) AS first_at, max(s.last_at) AS last_at,
        CAST(sum(s.bars) AS bigint) AS bars
    FROM price_series s WHERE s.version_id = f.version_id AND s.symbol = f.symbol
) t ON true
"""
_PAGE = text(f"""
WITH {_CURRENT}, found AS (
    SELECT * FROM (
        SELECT DISTINCT ON (i.symbol) i.*, c.version, c.account_id, c.market
        FROM current c JOIN price_instruments i ON i.version_id = c.id
        WHERE i.symbol > :after ORDER BY i.symbol, {_FIRST}
    ) seen
    WHERE (CAST(:exchange AS text) IS NULL OR exchange = :exchange)
        AND (CAST(:type AS text) IS NULL OR type = :type)
        AND (CAST(:query AS text) IS NULL OR strpos(upper(symbol), upper(:query)) > 0
            OR strpos(upper(coalesce(name, '')), upper(:query)) > 0)
    ORDER BY symbol LIMIT :at_most
)
SELECT {_INSTRUMENT} FROM found f {_TOTALS} ORDER BY f.symbol
""")  # noqa: S608
_ONE = text(f"""
WITH {_CURRENT}, found AS (
    SELECT i.*, c.version, c.account_id, c.market FROM current c JOIN price_instruments i ON i.version_id = c.id
    WHERE i.symbol = :symbol ORDER BY {_FIRST} LIMIT 1
)
SELECT {_INSTRUMENT} FROM found f {_TOTALS}
""")  # noqa: S608
_NEWEST = text("""
SELECT v.id, v.version, v.arrow_key, v.digest, v.bytes, v.bars, v.source, v.published_at
FROM price_versions v JOIN price_markets m ON m.id = v.market_id
WHERE m.account_id IS NULL AND v.version IS NOT NULL ORDER BY v.version DESC LIMIT 1
""")
_CONTENTS_INSTRUMENTS = text("""
SELECT symbol, name, exchange, currency, type, actions FROM price_instruments WHERE version_id = :id
""")
_CONTENTS_SERIES = text("SELECT symbol, interval, first_row, bars FROM price_series WHERE version_id = :id")
_IMPORTED = text("""
SELECT 1 FROM price_versions v JOIN price_markets m ON m.id = v.market_id
WHERE m.account_id IS NULL AND v.version IS NOT NULL AND v.source = :source LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Seen:
    """Which markets are asked: those of an account, and the server's own."""

    account_id: int
    as_of: datetime | None = None
    """None: now."""
    server: bool = True

    def values(self) -> dict[str, Any]:
        """For the queries."""
        return {"account_id": self.account_id, "as_of": self.as_of, "server": self.server}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which instruments a list holds; all that is not None must hold."""

    query: str | None = None
    """Part of symbol or name, whatever the case."""
    exchange: str | None = None
    type: str | None = None


async def locate(engine: AsyncEngine, seen: Seen, symbols: Sequence[str], interval: str) -> Sequence[Any]:
    """Rows that say where bars are, one per symbol that is found."""
    values = {**seen.values(), "symbols": list(symbols), "interval": interval}
    async with engine.connect() as connection:
        return (await connection.execute(_LOCATE, values)).all()


async def find_dataset(
    engine: AsyncEngine, account_id: int, *, dataset_id: uuid.UUID | None, name: str, version: int | None
) -> Any | None:  # noqa: ANN401  a Row
    """The row (`id`, `name`, `version`) of the market that an account's data set is; None if it is none.

    Args:
        engine: where the rows are.
        account_id: whose.
        dataset_id: of the set; None to find it by its name.
        name: of the set.
        version: of the set; None for the newest.
    """
    values = {"account_id": account_id, "dataset_id": dataset_id, "name": name, "version": version}
    async with engine.connect() as connection:
        return (await connection.execute(_DATASET, values)).one_or_none()


async def locate_in(
    engine: AsyncEngine, version_id: int, symbols: Sequence[str] | None, interval: str | None, at_most: int
) -> Sequence[Any]:
    """As `locate`, in one version; by symbol and interval."""
    values = {
        "version_id": version_id,
        "symbols": None if symbols is None else list(symbols),
        "interval": interval,
        "at_most": at_most,
    }
    async with engine.connect() as connection:
        return (await connection.execute(_OF_VERSION, values)).all()


async def page(engine: AsyncEngine, seen: Seen, which: Filter, after: str, at_most: int) -> Sequence[Any]:
    """Rows of instruments by symbol, starting after one."""
    values = {
        **seen.values(),
        "query": which.query,
        "exchange": which.exchange,
        "type": which.type,
        "after": after,
        "at_most": at_most,
    }
    async with engine.connect() as connection:
        return (await connection.execute(_PAGE, values)).all()


async def one(engine: AsyncEngine, seen: Seen, symbol: str) -> Any | None:  # noqa: ANN401  a Row
    """The row of an instrument; None if none of the markets has it."""
    async with engine.connect() as connection:
        return (await connection.execute(_ONE, {**seen.values(), "symbol": symbol})).one_or_none()


async def newest(engine: AsyncEngine) -> Any | None:  # noqa: ANN401  a Row
    """The row of the current version of the server's market; None without one."""
    async with engine.connect() as connection:
        return (await connection.execute(_NEWEST)).one_or_none()


async def contents(engine: AsyncEngine, version_id: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """The rows of the instruments and of the series of a version."""
    async with engine.connect() as connection:
        instruments = (await connection.execute(_CONTENTS_INSTRUMENTS, {"id": version_id})).all()
        return instruments, (await connection.execute(_CONTENTS_SERIES, {"id": version_id})).all()


async def imported(engine: AsyncEngine, source: str) -> bool:
    """Whether the server's market has a version that was made of this."""
    async with engine.connect() as connection:
        return await connection.scalar(_IMPORTED, {"source": source}) is not None
