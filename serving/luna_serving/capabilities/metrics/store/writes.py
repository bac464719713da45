"""The write-ahead table."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.capabilities.metrics.store.columns import arrays, column, cut

_ADD = text(f"""
INSERT INTO metric_writes (account_id, seq, payload)
SELECT account_id, seq, {cut("payload")}
FROM unnest(CAST(:accounts AS integer[]), CAST(:seqs AS bigint[]), {arrays("payload")})
    AS w(account_id, seq, payload_at, payload_bytes)
ON CONFLICT (account_id, seq) DO NOTHING
""")  # noqa: S608  names of ours
_READ = text("""
SELECT seq, payload FROM metric_writes WHERE account_id = :account_id AND seq > :after ORDER BY seq LIMIT :rows
""")
_THERE = text("""
SELECT account_id, seq, payload FROM metric_writes JOIN
    unnest(CAST(:accounts AS integer[]), CAST(:seqs AS bigint[])) AS w(account_id, seq) USING (account_id, seq)
""")
_REMOVE = text("DELETE FROM metric_writes WHERE account_id = :account_id AND seq <= :seq")


@dataclass(frozen=True, slots=True)
class WriteRow:
    """A row of the write-ahead table."""

    account_id: int
    seq: int
    payload: bytes


class SequenceTakenError(Exception):
    """Another write has the sequence number: the state that gave it is not the account's any more."""


async def add(connection: AsyncConnection, rows: Sequence[WriteRow]) -> None:
    """Add rows; those that are there already are left alone, so a transaction of unknown outcome can be repeated.

    Raises:
        SequenceTakenError: a row with another payload is there.
    """
    values = {
        "accounts": [row.account_id for row in rows],
        "seqs": [row.seq for row in rows],
        **column("payload", (row.payload for row in rows)),
    }
    if (await connection.execute(_ADD, values)).rowcount == len(rows):
        return
    keys = {"accounts": values["accounts"], "seqs": values["seqs"]}
    there = {(row.account_id, row.seq): bytes(row.payload) for row in await connection.execute(_THERE, keys)}
    for row in rows:
        if there.get((row.account_id, row.seq)) != row.payload:
            raise SequenceTakenError(f"Account {row.account_id} has another write with the number {row.seq}.")


async def read(connection: AsyncConnection, account_id: int, after: int, rows: int) -> list[tuple[int, bytes]]:
    """The next rows of an account after a sequence number, by sequence number."""
    found = await connection.execute(_READ, {"account_id": account_id, "after": after, "rows": rows})
    return [(row.seq, bytes(row.payload)) for row in found]


async def remove(connection: AsyncConnection, account_id: int, seq: int) -> None:
    """Remove the rows up to a sequence number."""
    await connection.execute(_REMOVE, {"account_id": account_id, "seq": seq})
