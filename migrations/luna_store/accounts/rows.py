"""Statements about accounts and keys that the command line and the operator share, in the caller's transaction.

The account's row is always locked before its keys: the other order would deadlock.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, column, delete, func, insert, or_, select, table, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts import tables
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.ledger.tables import UsageEvent

# How long ended keys stay in the table.
KEYS_KEPT = timedelta(days=30)

# Events per transaction: a statement ends after 10 s, and a busy account's ledger has millions of rows.
PURGED_AT_ONCE = 20_000

# The view of what may act for an account beside its keys; `luna_store.people` keeps its tables.
LIVE_SESSIONS = table("live_sessions", column("account_id"), column("principal"), column("expires_at"))


def live() -> ColumnElement[bool]:
    """Keys that are valid now: current, within their overlap, or pending."""
    return tables.ApiKey.revoked_at.is_(None) & or_(
        tables.ApiKey.expires_at.is_(None), tables.ApiKey.expires_at > func.now()
    )


async def mark_stale(connection: AsyncConnection, account_id: int, *only: ColumnElement[bool]) -> bool:
    """Lock the account's row and mark its Redis keys stale; False if no such account fulfils `only`."""
    done = await connection.execute(
        update(tables.Account).where(tables.Account.id == account_id, *only).values(cache_stale=True)
    )
    return done.rowcount > 0


async def insert_key(
    connection: AsyncConnection,
    peppers: Peppers,
    account_id: int,
    **columns: Any,  # noqa: ANN401  columns of `ApiKey`
) -> ApiKey:
    """Insert a new key of an account whose row the caller has locked."""
    key = ApiKey.issue()
    await connection.execute(
        insert(tables.ApiKey).values(
            account_id=account_id,
            prefix=key.prefix,
            digest=peppers.digest(key),
            pepper_id=peppers.current,
            **columns,
        )
    )
    return key


async def remove_ended_keys(connection: AsyncConnection) -> int:
    """Remove keys that ended long ago, so that rebuilds do not slow down with every rotation."""
    key = tables.ApiKey
    long_ago = func.least(key.revoked_at, key.expires_at) < func.now() - KEYS_KEPT
    # Keys that never became current are removed earlier: one per minute arises while a Secret cannot be written.
    ended = select(key.id).where(or_(long_ago, key.pending & (key.expires_at < func.now())))
    # Rows that others have locked are skipped, so that this cannot deadlock.
    removed = await connection.execute(delete(key).where(key.id.in_(ended.with_for_update(skip_locked=True))))
    return removed.rowcount


async def end_account(connection: AsyncConnection, account_id: int, *, retain: bool) -> list[str]:
    """End an account whose row the caller has locked: revoke it (`retain`), or remove it with its ledger.

    Returns:
        The digests of all its keys.
    """
    of_account = tables.ApiKey.account_id == account_id
    digests = list(await connection.scalars(select(tables.ApiKey.digest).where(of_account)))
    if not retain:
        await connection.execute(delete(UsageEvent).where(UsageEvent.account_id == account_id))
        await connection.execute(delete(tables.Account).where(tables.Account.id == account_id))
        # Capabilities remove what they keep outside Postgres afterwards: `luna_serving.jobs.forgetting`.
        await connection.execute(insert(tables.DeletedAccount).values(account_id=account_id))
        return digests
    await connection.execute(
        update(tables.ApiKey).where(of_account, tables.ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    await connection.execute(
        update(tables.Account)
        .where(tables.Account.id == account_id, tables.Account.state != "revoked")
        .values(state="revoked", cache_stale=True)
    )
    return digests


async def purge_ledger(engine: AsyncEngine, account_id: int) -> None:
    """Remove most of an account's events, each batch in its own transaction; `end_account` removes the rest."""
    oldest = text("""
        SELECT occurred_at FROM usage_events WHERE account_id = :account_id
        ORDER BY occurred_at OFFSET :batch LIMIT 1
    """)
    remove = text("DELETE FROM usage_events WHERE account_id = :account_id AND occurred_at <= :until")
    while True:
        async with engine.begin() as connection:
            until = await connection.scalar(oldest, {"account_id": account_id, "batch": PURGED_AT_ONCE - 1})
            if until is None:
                return
            await connection.execute(remove, {"account_id": account_id, "until": until})
