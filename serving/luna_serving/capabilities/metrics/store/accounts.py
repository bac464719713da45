"""Accounts that have samples, their series, and the first and last sample of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.capabilities.metrics.store.columns import arrays, column, cut

DIGEST_BYTES: Final = 16

_LIVING = text("SELECT id FROM accounts WHERE id = ANY(:ids) ORDER BY id FOR KEY SHARE")
_ENSURE = text("""
INSERT INTO metric_accounts (account_id) SELECT unnest(CAST(:ids AS integer[])) ON CONFLICT DO NOTHING
""")
_ACCOUNT = text("""
SELECT a.limits, m.flushed, m.latest_ms FROM accounts a LEFT JOIN metric_accounts m ON m.account_id = a.id
WHERE a.id = :account_id
""")
_LIMITS = text("SELECT id, limits FROM accounts WHERE id = ANY(:ids)")
_WITH_WRITES = text("SELECT DISTINCT account_id FROM metric_writes")
_WITH_SAMPLES = text("SELECT account_id FROM metric_accounts")
_SERIES = text("SELECT series_id, key FROM metric_series WHERE account_id = :account_id ORDER BY series_id")
_ADD_SERIES = text(f"""
INSERT INTO metric_series (account_id, series_id, key, digest)
SELECT account_id, series_id, {cut("key")}, {cut("digest")}
FROM unnest(CAST(:accounts AS integer[]), CAST(:ids AS integer[]), {arrays("key")}, {arrays("digest")})
    AS s(account_id, series_id, key_at, key_bytes, digest_at, digest_bytes)
ON CONFLICT (account_id, series_id) DO NOTHING
""")  # noqa: S608  names of ours
_REMOVE_SERIES = text("DELETE FROM metric_series WHERE account_id = :account_id AND series_id = ANY(:ids)")
_LATEST = text("SELECT block, data FROM metric_latest WHERE account_id = :account_id")
_SET_LATEST = text(f"""
INSERT INTO metric_latest (account_id, block, data)
SELECT :account_id, block, {cut("data")}
FROM unnest(CAST(:blocks AS integer[]), {arrays("data")}) AS b(block, data_at, data_bytes)
ON CONFLICT (account_id, block) DO UPDATE SET data = excluded.data
""")  # noqa: S608
_FLUSHED = text("""
UPDATE metric_accounts SET flushed = :seq, latest_ms = greatest(latest_ms, :latest_ms) WHERE account_id = :account_id
""")
_METADATA = text("SELECT name, type, help, unit FROM metric_metadata WHERE account_id = :account_id")
_SET_METADATA = text("""
INSERT INTO metric_metadata (account_id, name, type, help, unit)
SELECT :account_id, * FROM unnest(
    CAST(:names AS text[]), CAST(:types AS text[]), CAST(:helps AS text[]), CAST(:units AS text[])
) ON CONFLICT (account_id, name) DO UPDATE SET type = excluded.type, help = excluded.help, unit = excluded.unit
""")


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as Postgres has it."""

    limits: Mapping[str, int]
    flushed: int
    latest_ms: int


@dataclass(frozen=True, slots=True)
class NewSeries:
    """A series that is written with its first samples."""

    account_id: int
    series_id: int
    key: bytes


async def living(connection: AsyncConnection, account_ids: Sequence[int]) -> set[int]:
    """Those of the accounts that exist; none of them can be deleted before the transaction ends."""
    return set(await connection.scalars(_LIVING, {"ids": list(account_ids)}))


async def ensure(connection: AsyncConnection, account_ids: Sequence[int]) -> None:
    """Add the rows of accounts that have none."""
    await connection.execute(_ENSURE, {"ids": list(account_ids)})


async def read_account(connection: AsyncConnection, account_id: int) -> AccountRow | None:
    """An account; None if it does not exist."""
    row = (await connection.execute(_ACCOUNT, {"account_id": account_id})).one_or_none()
    return None if row is None else AccountRow(row.limits, row.flushed or 0, row.latest_ms or 0)


async def limits_of(connection: AsyncConnection, account_ids: Sequence[int]) -> dict[int, Mapping[str, int]]:
    """The limits that are set for accounts; those that do not exist are absent."""
    return {row.id: row.limits for row in await connection.execute(_LIMITS, {"ids": list(account_ids)})}


async def with_writes(connection: AsyncConnection) -> list[int]:
    """The accounts that have write-ahead rows."""
    return list(await connection.scalars(_WITH_WRITES))


async def with_samples(connection: AsyncConnection) -> list[int]:
    """The accounts that ever had samples."""
    return list(await connection.scalars(_WITH_SAMPLES))


async def read_series(connection: AsyncConnection, account_id: int) -> list[tuple[int, bytes]]:
    """The series of an account by id."""
    return [(row.series_id, bytes(row.key)) for row in await connection.execute(_SERIES, {"account_id": account_id})]


async def add_series(connection: AsyncConnection, series: Sequence[NewSeries]) -> None:
    """Add series; those that are there already are left alone."""
    values = {
        "accounts": [each.account_id for each in series],
        "ids": [each.series_id for each in series],
        **column("key", (each.key for each in series)),
        **column("digest", (blake2b(each.key, digest_size=DIGEST_BYTES).digest() for each in series)),
    }
    await connection.execute(_ADD_SERIES, values)


async def remove_series(connection: AsyncConnection, account_id: int, series_ids: Sequence[int]) -> None:
    """Remove series."""
    await connection.execute(_REMOVE_SERIES, {"account_id": account_id, "ids": list(series_ids)})


async def read_latest(connection: AsyncConnection, account_id: int) -> dict[int, bytes]:
    """The blocks of first and last samples."""
    return {row.block: bytes(row.data) for row in await connection.execute(_LATEST, {"account_id": account_id})}


async def set_latest(connection: AsyncConnection, account_id: int, blocks: Mapping[int, bytes]) -> None:
    """Replace blocks of first and last samples."""
    values = {"account_id": account_id, "blocks": list(blocks), **column("data", blocks.values())}
    await connection.execute(_SET_LATEST, values)


async def set_flushed(connection: AsyncConnection, account_id: int, seq: int, latest_ms: int) -> bool:
    """Record that all writes up to `seq` are in chunks; False if the account does not exist any more."""
    values = {"account_id": account_id, "seq": seq, "latest_ms": latest_ms}
    return bool((await connection.execute(_FLUSHED, values)).rowcount)


async def read_metadata(connection: AsyncConnection, account_id: int) -> dict[str, tuple[str, str, str]]:
    """Type, help and unit of metrics, by name."""
    rows: Any = await connection.execute(_METADATA, {"account_id": account_id})
    return {row.name: (row.type, row.help, row.unit) for row in rows}


async def set_metadata(
    connection: AsyncConnection, account_id: int, metadata: Mapping[str, tuple[str, str, str]]
) -> None:
    """Set type, help and unit of metrics."""
    types, helps, units = zip(*metadata.values(), strict=True)
    values = {
        "account_id": account_id,
        "names": list(metadata),
        "types": list(types),
        "helps": list(helps),
        "units": list(units),
    }
    await connection.execute(_SET_METADATA, values)
