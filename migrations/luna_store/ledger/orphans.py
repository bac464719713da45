"""Ledger rows of removed accounts: deletion with `Delete` or `--purge` promises that none remain.

A call in flight during the deletion can still book a void, and a process can be killed during the deletion. Account ids
are never reused, so a row without an account stays without one.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Accounts per statement, which ends after 10 s: each account takes one look into the index of each month.
ACCOUNTS_AT_ONCE = 1_000
ROWS_AT_ONCE = 20_000

# The accounts with rows, by a loose index scan: DISTINCT would read the whole ledger.
_FOLLOWING = text("""
WITH RECURSIVE found AS (
    SELECT (SELECT min(account_id) FROM usage_events WHERE account_id > :after) AS id, 1 AS n
    UNION ALL
    SELECT (SELECT min(account_id) FROM usage_events WHERE account_id > f.id), f.n + 1
    FROM found f WHERE f.id IS NOT NULL AND f.n < :accounts
)
SELECT f.id, a.id IS NULL AS orphaned FROM found f LEFT JOIN accounts a ON a.id = f.id
WHERE f.id IS NOT NULL ORDER BY f.id
""")

_REMOVE = text("""
DELETE FROM usage_events WHERE account_id = :account_id AND (stream_id, occurred_at) IN (
    SELECT stream_id, occurred_at FROM usage_events WHERE account_id = :account_id ORDER BY occurred_at LIMIT :rows
)
""")


async def accounts_with_rows(connection: AsyncConnection, after: int) -> list[tuple[int, bool]]:
    """The next account ids in the ledger after `after`, at most `ACCOUNTS_AT_ONCE`, and whether the account is gone."""
    rows = await connection.execute(_FOLLOWING, {"after": after, "accounts": ACCOUNTS_AT_ONCE})
    return [(int(row.id), bool(row.orphaned)) for row in rows]


async def remove_rows(connection: AsyncConnection, account_id: int) -> bool:
    """Remove the oldest rows of an account, at most `ROWS_AT_ONCE`; returns whether there may be more."""
    removed = await connection.execute(_REMOVE, {"account_id": account_id, "rows": ROWS_AT_ONCE})
    return removed.rowcount >= ROWS_AT_ONCE
