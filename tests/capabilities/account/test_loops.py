"""The account capability's loops keep no more than is documented, and no less."""

import uuid
from dataclasses import dataclass

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.store.stores import Store

from luna_serving.capabilities.account.loops import LOOPS, purge, remove_keys
from luna_store.ledger import orphans
from luna_store.platform.leases import Lease, LeaseLost, acquire, release


@dataclass
class Platform:
    engine: AsyncEngine


@pytest.fixture
async def lease(store: Store) -> Lease:
    lease = await acquire(store.engine, "loop:test", "test", lasts_s=60)
    assert lease is not None
    return lease


async def test_keys_that_ended_long_ago_are_removed_and_no_others(store: Store, lease: Lease) -> None:
    caller = await store.account()
    insert = """
        INSERT INTO api_keys (account_id, prefix, digest, pepper_id, expires_at, revoked_at, pending)
        VALUES (:account, :name, :name, 'p', now() + CAST(:expires AS interval), now() + CAST(:revoked AS interval),
                :pending)
    """
    for name, expires, revoked, pending in [
        ("expired long ago", "-31 days", None, False),
        ("revoked long ago", None, "-31 days", False),
        ("revoked in its overlap", "1 day", "-31 days", False),
        ("expired", "-29 days", None, False),
        ("revoked", None, "-29 days", False),
        ("retiring", "1 day", None, False),
        ("pending in vain", "-1 minute", None, True),
        ("pending", "1 minute", None, True),
    ]:
        values = {"account": caller.account_id, "name": name, "expires": expires, "revoked": revoked}
        await store.execute(insert, **values, pending=pending)
    await remove_keys(Platform(store.engine), lease)
    left = await store.scalar("SELECT array_agg(prefix ORDER BY id) FROM api_keys")
    assert left == [caller.key.prefix, "expired", "revoked", "retiring", "pending"]


async def event(store: Store, account_id: int, month: int) -> None:
    at = "make_timestamptz(2031, :month, 1, 0, 0, 0)"
    insert = f"INSERT INTO usage_events VALUES (:id, {at}, gen_random_uuid(), :a, 1, 'r')"
    await store.execute(insert, id=str(uuid.uuid4()), month=month, a=account_id)


async def rows(store: Store) -> list[int]:
    return await store.scalar("SELECT array_agg(account_id ORDER BY account_id, occurred_at) FROM usage_events")


async def test_ledger_rows_of_accounts_that_are_gone_are_purged_and_no_others(
    store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Smaller batches, so that there are several.
    monkeypatch.setattr(orphans, "ACCOUNTS_AT_ONCE", 2)
    monkeypatch.setattr(orphans, "ROWS_AT_ONCE", 2)
    kept, retained, removed = [(await store.account()).account_id for _ in range(3)]
    for account_id in (kept, retained, removed):
        await event(store, account_id, 1)
    await store.accounts.delete(retained, retain=True)
    await store.accounts.delete(removed, retain=False)
    for gone in (removed, removed + 1000, removed + 1001):
        for month in (1, 2, 2, 3, 3):  # a call that was under way books as late as this
            await event(store, gone, month)
    await purge(Platform(store.engine), lease)
    assert await rows(store) == [kept, retained]


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.name)
async def test_without_the_lease_no_loop_removes_anything(store: Store, lease: Lease, loop) -> None:
    await event(store, 4711, 1)
    await release(store.engine, lease)
    with pytest.raises(LeaseLost):
        await loop.run(Platform(store.engine), lease)
    assert await rows(store) == [4711]
