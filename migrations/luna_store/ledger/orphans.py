"""Rows of removed accounts: deletion with `Delete` or `--purge` promises that none remain.

A call in flight during the deletion can still book a void or be logged, and a process can be killed during the
deletion. Account ids are never reused, so a row without an account stays without one.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Accounts per statement, which ends after 10 s: each account takes one look into the index of each partition.
ACCOUNTS_AT_ONCE = 1_000
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class History:
    """A partitioned table that is indexed by account and time, without a foreign key."""

    table: str
    row_id: str
    """With `at`, unique."""
    at: str


LEDGER: Final = History("usage_events", "stream_id", "occurred_at")
REQUESTS: Final = History("request_log", "id", "at")

# The accounts with rows, by a loose index scan: DISTINCT would read the whole table.
_FOLLOWING = """
WITH RECURSIVE found AS (
    SELECT (SELECT min(account_id) FROM {table} WHERE account_id > :after) AS id, 1 AS n
    UNION ALL
    SELECT (SELECT min(account_id) FROM {table} WHERE account_id > f.id), f.n + 1
    FROM found f WHERE f.id IS NOT NULL AND f.n < :accounts
)
SELECT f.id, a.id IS NULL AS orphaned FROM found f LEFT JOIN accounts a ON a.id = f.id
WHERE f.id IS NOT NULL ORDER BY f.id
"""

_REMOVE = """
DELETE FROM {table} WHERE account_id = :account_id AND ({row_id}, {at}) IN (
    SELECT {row_id}, {at} FROM {table} WHERE account_id = :account_id ORDER BY {at} LIMIT :rows
)
"""


async def accounts_with_rows(
    connection: AsyncConnection, after: int, history: History = LEDGER
) -> list[tuple[int, bool]]:
    """The next account ids in a history after `after`, at most `ACCOUNTS_AT_ONCE`, and whether the account is gone."""
    statement = text(_FOLLOWING.format(table=history.table))
    rows = await connection.execute(statement, {"after": after, "accounts": ACCOUNTS_AT_ONCE})
    return [(int(row.id), bool(row.orphaned)) for row in rows]


async def remove_rows(connection: AsyncConnection, account_id: int, history: History = LEDGER) -> bool:
    """Remove the oldest rows of an account, at most `ROWS_AT_ONCE`; returns whether there may be more."""
    statement = text(_REMOVE.format(table=history.table, row_id=history.row_id, at=history.at))
    removed = await connection.execute(statement, {"account_id": account_id, "rows": ROWS_AT_ONCE})
    return removed.rowcount >= ROWS_AT_ONCE
