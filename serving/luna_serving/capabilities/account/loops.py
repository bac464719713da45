"""Loops that remove old rows of the accounts' tables."""

from typing import Final

from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_store.accounts.rows import remove_ended_keys
from luna_store.ledger.holds import void_overdue
from luna_store.ledger.orphans import LEDGER, REQUESTS, History, accounts_with_rows, remove_rows
from luna_store.platform.idempotency import IdempotencyKeys
from luna_store.platform.leases import Lease, fenced

HOUR_S = 3600.0
HOLDS_AT_ONCE = 100


async def remove_keys(stores: Background, lease: Lease) -> None:
    """Remove keys that ended more than 30 days ago, and pending keys that never became current."""
    async with fenced(stores.engine, lease) as connection:
        await remove_ended_keys(connection)


async def purge(stores: Background, lease: Lease) -> None:
    """Remove rows of the ledger and the request log whose account was deleted with its data."""
    for history in (LEDGER, REQUESTS):
        await _purge(stores, lease, history)


async def _purge(stores: Background, lease: Lease, history: History) -> None:
    after = 0
    while True:
        async with fenced(stores.engine, lease) as connection:
            found = await accounts_with_rows(connection, after, history)
        if not found:
            return
        for account_id in [account_id for account_id, orphaned in found if orphaned]:
            more = True
            while more:
                async with fenced(stores.engine, lease) as connection:
                    more = await remove_rows(connection, account_id, history)
        after = found[-1][0]


async def void_overdue_holds(stores: Background, lease: Lease) -> None:
    """Give back what was reserved by work that died. Any process may void a hold, so the lease only spares work."""
    voided = HOLDS_AT_ONCE
    while voided >= HOLDS_AT_ONCE:
        await _require(stores, lease)
        voided = await void_overdue(stores.engine, HOLDS_AT_ONCE)


async def expire_idempotency_keys(stores: Background, lease: Lease) -> None:
    """Remove the answers that are kept for Idempotency-Key. Any process may, so the lease only spares work."""
    await _require(stores, lease)
    await IdempotencyKeys(stores.engine).expire()


async def _require(stores: Background, lease: Lease) -> None:
    async with fenced(stores.engine, lease):
        pass


LOOPS: Final[tuple[Loop[Background], ...]] = (
    Loop("account.keys", HOUR_S, remove_keys),
    Loop("account.holds", 30.0, void_overdue_holds),
    Loop("account.idempotency", HOUR_S, expire_idempotency_keys),
    Loop("account.purge", 24 * HOUR_S, purge, timeout_s=HOUR_S),
)
