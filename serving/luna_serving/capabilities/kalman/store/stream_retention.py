"""Deletes streams that nobody uses."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# What one opening, or one transaction of the loop, removes at most: a bound on how long it can take.
EXPIRED_AT_ONCE = 100

# By account, as the index is. Only what nobody else has locked: this must never be one half of a deadlock.
_EXPIRE = text("""
DELETE FROM kalman_streams WHERE id IN (
    SELECT s.id FROM accounts a CROSS JOIN LATERAL (
        SELECT id FROM kalman_streams
        WHERE account_id = a.id AND updated_at < now() - CAST(:unused AS interval)
        ORDER BY updated_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ) s LIMIT :most
)
""")


async def expire_unused(connection: AsyncConnection, unused: timedelta) -> int:
    """Delete streams of all accounts that nobody used for so long, `EXPIRED_AT_ONCE` at most; returns how many."""
    deleted = await connection.execute(_EXPIRE, {"unused": unused, "most": EXPIRED_AT_ONCE})
    return deleted.rowcount
