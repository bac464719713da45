"""The rows of sets: numbers, bytes, expiry, and what the sweep removes."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.capabilities.datasets.sets import CONTRACT, account_of, declared, table

from luna_serving.capabilities.datasets.loops import forget, loops, swept
from luna_serving.capabilities.datasets.settings import DatasetsSettings
from luna_serving.capabilities.datasets.store import removing, starting
from luna_serving.capabilities.datasets.store.reading import Reference, find, used_bytes
from luna_serving.capabilities.datasets.store.records import Declared, SetRecord, State
from luna_serving.capabilities.datasets.store.starting import NewSet, NoRoom, TooManySets
from luna_serving.capabilities.datasets.uploads.keys import upload_key
from luna_serving.jobs.background import Background
from luna_serving.objects.keys import account_prefix, sealed_key
from luna_store.accounts.accounts import AccountNotFound
from luna_store.audit.actors import Actor
from luna_store.platform.leases import acquire

if TYPE_CHECKING:
    from tests.store.stores import Caller, Store

    from luna_serving.objects.client import ObjectStore

ACTOR = Actor("test")


async def nothing(connection: Any, record: Any) -> None:
    del connection, record


async def begun(store: Store, account_id: int, files: dict[str, bytes], *, most_sets: int = 100) -> SetRecord:
    new = NewSet(account_id, "sales", "series", CONTRACT, [Declared(**each) for each in declared(files)])
    record, _ = await starting.start(store.engine, new, most_sets=most_sets, also=nothing, by=ACTOR)
    return record


async def used(store: Store, caller: Caller) -> int:
    async with store.engine.connect() as connection:
        return await used_bytes(connection, caller.account_id)


async def lease_of(store: Store) -> Any:
    lease = await acquire(store.engine, f"test/{uuid.uuid4()}", "test", lasts_s=60)
    assert lease is not None
    return lease


async def test_starts_at_once_reserve_no_more_than_there_is_room(store: Store) -> None:
    data = table()
    caller = await account_of(store, limits={"datasets.stored_bytes": 3 * len(data)})
    found = await asyncio.gather(
        *(begun(store, caller.account_id, {f"{i}.csv": data}) for i in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, SetRecord) for each in found) == 3
    assert sum(isinstance(each, NoRoom) for each in found) == 5
    assert await used(store, caller) == 3 * len(data)
    # A start that was refused has used no number.
    assert sorted(each.version for each in found if isinstance(each, SetRecord)) == [1, 2, 3]


async def test_a_number_of_sets_is_the_limit(store: Store) -> None:
    caller = await account_of(store)
    await begun(store, caller.account_id, {"a.csv": b"a"}, most_sets=1)
    with pytest.raises(TooManySets, match="Delete one"):
        await begun(store, caller.account_id, {"a.csv": b"a"}, most_sets=1)


async def test_an_account_that_is_gone_starts_nothing(store: Store) -> None:
    with pytest.raises(AccountNotFound):
        await begun(store, 2_000_000_000, {"a.csv": b"a"})


async def test_an_unfinished_set_expires_and_frees_its_bytes(store: Store, objects: ObjectStore) -> None:
    caller = await account_of(store)
    idle, busy = [await begun(store, caller.account_id, {"a.csv": table()}) for _ in range(2)]
    await store.execute("UPDATE datasets SET active_at = now() - interval '25 h'")
    # Bytes that arrive are activity, though nobody calls.
    await objects.put_bytes(upload_key(caller.account_id, busy.id, 0), table())
    _, expire, _ = loops(DatasetsSettings())
    await expire.run(Background(store.engine, store.redis, objects), await lease_of(store))
    assert (await find(store.engine, caller.account_id, Reference(idle.id))).state is State.EXPIRED
    assert (await find(store.engine, caller.account_id, Reference(busy.id))).state is State.UPLOADING
    assert await used(store, caller) == len(table())


async def test_a_sweep_removes_what_no_row_names_and_rows_whose_object_is_gone(
    store: Store, objects: ObjectStore
) -> None:
    caller = await account_of(store)
    record = await begun(store, caller.account_id, {"a.csv": table(), "b.csv": table("c")})
    kept = upload_key(caller.account_id, record.id, 0)
    stray, late = sealed_key(caller.account_id), upload_key(caller.account_id, uuid.uuid4(), 0)
    beyond = upload_key(caller.account_id, record.id, 7)
    for key in (kept, stray, late, beyond):
        await objects.put_bytes(key, b"x")
    upload = await objects.multipart.start(upload_key(caller.account_id, uuid.uuid4(), 1))
    await store.execute(
        "INSERT INTO dataset_objects (key, account_id, dataset_id, kind, bytes, sha256, created_at)"
        " VALUES (:key, :account, :id, 'findings', 5, '', now() - interval '1 h')",
        key=sealed_key(caller.account_id),
        account=caller.account_id,
        id=record.id,
    )
    stores, prefix = Background(store.engine, store.redis, objects), account_prefix(caller.account_id)
    # Young strangers are left alone.
    await swept(stores, objects, await lease_of(store), timedelta(hours=1), prefix)
    there = [each.key async for each in objects.list(account_prefix(caller.account_id))]
    assert sorted(there) == sorted([kept, stray, late, beyond])
    await swept(stores, objects, await lease_of(store), timedelta(0), prefix)
    assert [each.key async for each in objects.list(account_prefix(caller.account_id))] == [kept]
    uploads = [each.upload_id async for each in objects.multipart.uploads(account_prefix(caller.account_id))]
    assert upload not in uploads
    query = "SELECT count(*) FROM dataset_objects WHERE account_id = :id"
    assert await store.scalar(query, id=caller.account_id) == 0


async def test_a_deleted_set_is_gone_with_its_reservation(store: Store) -> None:
    caller, stranger = await account_of(store), await account_of(store)
    record = await begun(store, caller.account_id, {"a.csv": table()})
    await begun(store, stranger.account_id, {"a.csv": table()})
    records, garbage = await removing.delete(store.engine, caller.account_id, Reference(name="sales"), ACTOR)
    assert ([each.id for each in records], garbage) == ([record.id], [])
    assert await used(store, caller) == 0
    assert await used(store, stranger) == len(table())


async def test_all_objects_of_a_deleted_account_are_deleted(store: Store, objects: ObjectStore) -> None:
    caller, stranger = await account_of(store), await account_of(store)
    for each in (caller, stranger):
        await objects.put_bytes(sealed_key(each.account_id), b"x")
    await objects.multipart.start(upload_key(caller.account_id, uuid.uuid4(), 0))
    for _ in range(2):
        await forget(Background(store.engine, store.redis, objects), caller.account_id)
    assert [each async for each in objects.list(account_prefix(caller.account_id))] == []
    assert [each async for each in objects.multipart.uploads(account_prefix(caller.account_id))] == []
    assert len([each async for each in objects.list(account_prefix(stranger.account_id))]) == 1
