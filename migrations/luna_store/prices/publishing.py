"""Writes versions of markets: first a row that claims the objects, then, when they are stored, all the rest at once.

A process that dies in between leaves a row without a number, which nobody reads and retention removes with its objects.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

SERVER: Final = "server"
"""The name of the server's own market."""

_MARKET = text("""
INSERT INTO price_markets (account_id, name) VALUES (:account_id, :name)
ON CONFLICT (account_id, name) DO UPDATE SET name = excluded.name RETURNING id
""")
_CLAIM = text("""
INSERT INTO price_versions (market_id, dataset_id, arrow_key, parquet_key, source)
VALUES (:market_id, :dataset_id, :arrow_key, :parquet_key, :source) RETURNING id
""")
_LOCK = text("SELECT last_version FROM price_markets WHERE id = :market_id FOR UPDATE")
_NEWEST = text("SELECT max(version) FROM price_versions WHERE market_id = :market_id AND version IS NOT NULL")
_NUMBER = text("UPDATE price_markets SET last_version = greatest(last_version, :version) WHERE id = :market_id")
_PUBLISH = text("""
UPDATE price_versions SET version = :version, digest = :digest, bytes = :bytes, bars = :bars, last_at = :last_at,
    published_at = clock_timestamp()
WHERE id = :id AND version IS NULL
""")
_INSTRUMENTS = text("""
INSERT INTO price_instruments (version_id, symbol, name, exchange, currency, type, actions)
SELECT :id, g.symbol, g.name, g.exchange, g.currency, g.type, g.actions FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS g(symbol text, name text, exchange text, currency text, type text, actions jsonb)
""")
_SERIES = text("""
INSERT INTO price_series (version_id, symbol, interval, first_row, bars, first_at, last_at)
SELECT :id, g.symbol, g.interval, g.first_row, g.bars,
    to_timestamp(0) + g.first_us * interval '1 microsecond', to_timestamp(0) + g.last_us * interval '1 microsecond'
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS g(symbol text, interval text, first_row bigint, bars bigint, first_us bigint, last_us bigint)
""")
_DROP = text("DELETE FROM price_versions WHERE id = :id AND version IS NULL")


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """An instrument, as its row has it."""

    symbol: str
    name: str | None = None
    exchange: str | None = None
    currency: str | None = None
    type: str | None = None
    actions: Sequence[tuple[str, str, float]] = ()
    """Date, kind and value, by date."""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """The bars of an instrument in an interval, as their row has them."""

    symbol: str
    interval: str
    first_row: int
    bars: int
    first_us: int
    """Microseconds since 1970."""
    last_us: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a version holds."""

    instruments: Sequence[InstrumentRow]
    series: Sequence[SeriesRow]
    digest: str
    """SHA-256 of the Arrow file, hexadecimal."""
    bytes: int
    last_at: datetime

    @property
    def bars(self) -> int:
        """Of all series."""
        return sum(each.bars for each in self.series)


@dataclass(frozen=True, slots=True)
class Claim:
    """A version that is being made."""

    id: int
    market_id: int
    base: int | None
    """The version that was current when it began; None for none."""


class MarketChanged(Exception):
    """Another import has published a version meanwhile, which this one does not contain: import again."""


async def claim(engine: AsyncEngine, arrow_key: str, parquet_key: str | None, *, source: str | None = None) -> Claim:
    """Begin a version of the server's market: from now on its objects belong to a row."""
    async with engine.begin() as connection:
        market_id = await connection.scalar(_MARKET, {"account_id": None, "name": SERVER})
        base = await connection.scalar(_NEWEST, {"market_id": market_id})
        values = {
            "market_id": market_id,
            "dataset_id": None,
            "arrow_key": arrow_key,
            "parquet_key": parquet_key,
            "source": source,
        }
        return Claim(int(await connection.scalar(_CLAIM, values) or 0), int(market_id or 0), base)


async def publish(engine: AsyncEngine, claimed: Claim, contents: Contents) -> int:
    """Make a version of the server's market the current one, whole; returns its number.

    Raises:
        MarketChanged: another one became current meanwhile, or retention has removed the claim.
    """
    async with engine.begin() as connection:
        last = int(await connection.scalar(_LOCK, {"market_id": claimed.market_id}) or 0)
        if await connection.scalar(_NEWEST, {"market_id": claimed.market_id}) != claimed.base:
            raise MarketChanged("Another import has published a version meanwhile. Import again.")
        await _written(connection, claimed.id, claimed.market_id, last + 1, contents)
        return last + 1


async def publish_dataset(
    connection: AsyncConnection,
    account_id: int,
    name: str,
    version: int,
    dataset_id: uuid.UUID,
    keys: tuple[str, str],
    contents: Contents,
) -> None:
    """Make a market of a data set, in the transaction that makes the set valid.

    Args:
        connection: in this transaction.
        account_id: whose set.
        name: of the set, and of the market.
        version: of the set, and of the market.
        dataset_id: of the set; with it the version goes.
        keys: of the Arrow file and of the Parquet file, which belong to the set.
        contents: of the version.
    """
    market_id = int(await connection.scalar(_MARKET, {"account_id": account_id, "name": name}) or 0)
    values = {"market_id": market_id, "dataset_id": dataset_id, "arrow_key": keys[0], "parquet_key": keys[1]}
    claimed = await connection.scalar(_CLAIM, {**values, "source": None})
    await _written(connection, int(claimed or 0), market_id, version, contents)


async def give_up(engine: AsyncEngine, claimed: Claim) -> bool:
    """Remove a claim; False if its version was published. Its objects are garbage then."""
    async with engine.begin() as connection:
        return bool((await connection.execute(_DROP, {"id": claimed.id})).rowcount)


async def _written(connection: AsyncConnection, id_: int, market_id: int, version: int, contents: Contents) -> None:
    instruments: list[dict[str, Any]] = [
        {
            "symbol": each.symbol,
            "name": each.name,
            "exchange": each.exchange,
            "currency": each.currency,
            "type": each.type,
            "actions": [list(action) for action in each.actions],
        }
        for each in contents.instruments
    ]
    series = [{name: getattr(each, name) for name in SeriesRow.__slots__} for each in contents.series]
    await connection.execute(_NUMBER, {"market_id": market_id, "version": version})
    values = {
        "id": id_,
        "version": version,
        "digest": contents.digest,
        "bytes": contents.bytes,
        "bars": contents.bars,
        "last_at": contents.last_at,
    }
    if not (await connection.execute(_PUBLISH, values)).rowcount:
        raise MarketChanged("The import took so long that its claim was removed. Import again.")
    await connection.execute(_INSTRUMENTS, {"id": id_, "rows": json.dumps(instruments)})
    await connection.execute(_SERIES, {"id": id_, "rows": json.dumps(series)})
