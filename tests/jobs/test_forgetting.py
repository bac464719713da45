"""Deleted accounts are forgotten by every capability, each until it has succeeded, and by none that still lives."""

from collections.abc import Awaitable, Callable

import pytest
from tests.store.stores import Store

from luna_serving.jobs.background import Background
from luna_serving.jobs.forgetting import forgetting
from luna_store.platform.leases import Lease, acquire

Forget = Callable[[Background, int], Awaitable[None]]


class Kept:
    """What a capability keeps of accounts outside Postgres; cannot remove what `stuck` names."""

    def __init__(self, *accounts: int, stuck: int | None = None) -> None:
        self.accounts = set(accounts)
        self.stuck = stuck

    async def forget(self, stores: Background, account_id: int) -> None:
        if account_id == self.stuck:
            raise OSError("the object store is out of reach")
        self.accounts.discard(account_id)


@pytest.fixture
async def lease(store: Store) -> Lease:
    lease = await acquire(store.engine, "loop:account.forget", "test", lasts_s=60)
    assert lease is not None
    return lease


async def deleted(store: Store) -> list[int]:
    return await store.scalar("SELECT coalesce(array_agg(account_id ORDER BY account_id), '{}') FROM deleted_accounts")


async def test_what_is_kept_of_a_deleted_account_is_removed_by_all(store: Store, lease: Lease) -> None:
    gone, retained, alive = [await store.account() for _ in range(3)]
    await store.accounts.delete(gone.account_id, retain=False)
    await store.accounts.delete(retained.account_id, retain=True)
    ids = [each.account_id for each in (gone, retained, alive)]
    objects, files = Kept(*ids), Kept(*ids)
    loop = forgetting({"objects": objects.forget, "files": files.forget})
    await loop.run(Background(store.engine, store.redis), lease)
    assert objects.accounts == files.accounts == {retained.account_id, alive.account_id}
    assert await deleted(store) == []


async def test_one_that_cannot_be_forgotten_is_tried_again_and_holds_up_no_other(store: Store, lease: Lease) -> None:
    first, second = await store.account(), await store.account()
    ids = [first.account_id, second.account_id]
    for account_id in ids:
        await store.accounts.delete(account_id, retain=False)
    kept = Kept(*ids, stuck=first.account_id)
    loop, stores = forgetting({"kept": kept.forget}), Background(store.engine, store.redis)
    with pytest.raises(ExceptionGroup) as failed:
        await loop.run(stores, lease)
    assert f"account {first.account_id}" in failed.value.exceptions[0].__notes__[0]
    assert await deleted(store) == [first.account_id]
    kept.stuck = None
    await loop.run(stores, lease)
    assert kept.accounts == set()
    assert await deleted(store) == []
