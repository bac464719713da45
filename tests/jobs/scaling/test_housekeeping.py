"""The queue's own loops: what is kept no longer goes, objects first; gauges are one worker's."""

import uuid

import pytest
from prometheus_client import CollectorRegistry
from tests.jobs.queue.queues import claimed, queued
from tests.store.stores import Store

from luna_serving.jobs import housekeeping as housekeeping_module
from luna_serving.jobs.background import Background
from luna_serving.jobs.housekeeping import BacklogMetrics, give_back, housekeeping, remove_expired
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import StoreGone
from luna_serving.objects.keys import account_prefix
from luna_store.jobs.creating import owner_of
from luna_store.jobs.ending import HOLD_FENCE, Artifact, Ended, end
from luna_store.jobs.states import JobStatus
from luna_store.ledger import holds
from luna_store.platform.leases import Lease, LeaseLost, acquire, release


async def ended(store: Store, count: int, *keys: str) -> list[uuid.UUID]:
    """Jobs that have ended, each with artifacts at these keys."""
    caller = await store.account(limits={"jobs.concurrent": 1000})
    ids = [await queued(store, caller, units=0) for _ in range(count)]
    for job in await claimed(store, count):
        artifacts = tuple(Artifact(f"a{i}", "text/plain", None, key, 1, "0" * 64) for i, key in enumerate(keys))
        how = Ended(job.id, job.account_id, job.fence, JobStatus.SUCCEEDED, 0, result=b"1", artifacts=artifacts)
        await end(store.engine, [how])
    return ids


async def lease(store: Store) -> Lease:
    found = await acquire(store.engine, "loop:jobs.retention", "test", lasts_s=60)
    assert found is not None
    return found


async def expire(store: Store, ids: list[uuid.UUID]) -> None:
    await store.execute("UPDATE jobs SET expires_at = now() - interval '1 second' WHERE id = ANY(:ids)", ids=ids)


async def test_expired_jobs_go_with_all_their_objects_and_others_stay(
    store: Store, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "AT_ONCE", 2)
    prefix = account_prefix(uuid.uuid4().int % 10**12)
    keys = [f"{prefix}{i}" for i in range(6)]
    for key in keys:
        await objects.put_bytes(key, b"x")
    gone = [job_id for i in range(5) for job_id in await ended(store, 1, *(keys[:3] if i == 4 else keys[3:5][i:]))]
    kept = await ended(store, 1, keys[5])
    await expire(store, gone)
    await remove_expired(Background(store.engine, store.redis, objects), await lease(store))
    assert await store.scalar("SELECT array_agg(id) FROM jobs") == kept
    assert [each.key async for each in objects.list(prefix)] == [keys[5]]
    assert await store.scalar("SELECT count(*) FROM job_lanes") == 0


async def test_without_the_object_store_jobs_wait_and_those_without_objects_go(store: Store) -> None:
    plain = await ended(store, 2)
    await expire(store, plain)
    stores = Background(store.engine, store.redis)
    held = await lease(store)
    await remove_expired(stores, held)
    assert await store.scalar("SELECT count(*) FROM jobs") == 0
    kept = await ended(store, 1, "a key")
    await expire(store, kept)
    with pytest.raises(StoreGone, match="set S3_ENDPOINT"):
        await remove_expired(stores, held)
    assert await store.scalar("SELECT count(*) FROM jobs") == 1


async def test_a_loop_that_lost_its_lease_deletes_nothing(store: Store) -> None:
    await expire(store, await ended(store, 1))
    held = await lease(store)
    await release(store.engine, held)
    with pytest.raises(LeaseLost):
        await remove_expired(Background(store.engine, store.redis), held)
    assert await store.scalar("SELECT count(*) FROM jobs") == 1


async def test_the_gauges_are_shown_by_the_holder_alone(store: Store) -> None:
    caller = await store.account()
    for _ in range(3):
        await queued(store, caller, units=0)
    registry = CollectorRegistry()
    show, *_ = housekeeping(BacklogMetrics(registry))

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"luna_jobs_{name}")

    await show.run(Background(store.engine, store.redis), await lease(store))
    assert (value("queued"), value("webhooks_waiting")) == (3, 0)
    assert 0 < value("oldest_queued_seconds") < 60
    show.released()
    assert (value("queued"), value("oldest_queued_seconds")) == (0, 0)


async def test_units_of_a_job_that_was_never_queued_are_given_back_and_no_others(store: Store) -> None:
    caller = await store.account()
    await queued(store, caller, units=2)
    lost = caller.debit(5)
    async with store.engine.begin() as connection:
        await holds.write(connection, lost, owner_of(uuid.uuid4()), HOLD_FENCE, holds.LONGEST)
    await store.execute("UPDATE holds SET reserved_at = now() - interval '11 minutes'")
    await give_back(Background(store.engine, store.redis), await lease(store))
    assert await store.scalar("SELECT array_agg(units) FROM holds") == [2]
