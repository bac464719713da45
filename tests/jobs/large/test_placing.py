"""Large results and artifacts are in the object store, small ones and those of a store that is gone in Postgres."""

import json
import uuid
from pathlib import Path

import pytest
from tests.jobs.queue.queues import claimed, column, queued
from tests.jobs.queue.test_running import status_of
from tests.jobs.queue.working import working
from tests.objects.fixture import store_on
from tests.store.stores import Caller, Store

from luna_serving.jobs.background import Background
from luna_serving.jobs.running.placing import placed
from luna_serving.jobs.sweeping import forget, swept
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.client import ObjectStore
from luna_store.jobs.ending import Artifact, Ended, end
from luna_store.jobs.objects import JobKey, named, prefix_of
from luna_store.jobs.reading import find, result_of
from luna_store.jobs.states import JobStatus

INLINE = 256 * 1024
FILES = {"large.txt": INLINE + 1, "small.txt": INLINE}


def large(**more: object) -> bytes:
    return json.dumps({"result_bytes": 300_000, "artifacts": FILES, **more}).encode()


async def keys_of(store: Store, job_id: uuid.UUID) -> set[str]:
    """The objects that a job names."""
    query = "SELECT array_agg(object_key) FROM job_artifacts WHERE job_id = :id AND object_key IS NOT NULL"
    return set(await store.scalar(query, id=job_id) or ())


def prefix_of_job(caller: Caller, job_id: uuid.UUID) -> str:
    """Of its objects: other tests' accounts have the same numbers in the same bucket."""
    return f"{prefix_of(caller.account_id)}{job_id}/"


async def result_bytes(store: Store, objects: ObjectStore, job_id: uuid.UUID) -> bytes:
    found = await result_of(store.engine, job_id)
    assert found is not None
    return found.body if found.object_key is None else await objects.get_bytes(found.object_key)


@pytest.fixture
async def caller(store: Store) -> Caller:
    return await store.account()


async def run(store: Store, caller: Caller, objects: ObjectStore | None, parameters: bytes) -> uuid.UUID:
    job_id = await queued(store, caller, units=1, parameters=parameters)
    async with working(store.engine, store.redis, objects=objects):
        await status_of(store, job_id, "succeeded", within_s=60)
    return job_id


async def test_what_is_large_is_in_the_object_store_under_its_fence_and_the_rest_in_postgres(
    store: Store, caller: Caller, objects: ObjectStore
) -> None:
    job_id = await run(store, caller, objects, large())
    fence = await column(store, job_id, "fence")
    parsed = [JobKey.parse(key) for key in await keys_of(store, job_id)]
    assert {(each.account_id, each.job_id, each.fence) for each in parsed if each} == {
        (caller.account_id, job_id, fence)
    }
    assert await store.scalar("SELECT result IS NULL FROM job_data WHERE job_id = :id", id=job_id)
    detail = await find(store.engine, caller.account_id, job_id, inline_bytes=INLINE)
    assert detail is not None
    assert {each.name: each.object_key is not None for each in detail.artifacts} == {
        "large.txt": True,
        "small.txt": False,
        "report.html": False,
    }
    body = await result_bytes(store, objects, job_id)
    assert (detail.result, detail.result_bytes) == (None, len(body))
    assert len(json.loads(body)["results"]) == 300


async def test_without_a_store_all_is_in_postgres(store: Store, caller: Caller) -> None:
    job_id = await run(store, caller, None, large())
    assert await keys_of(store, job_id) == set()
    assert await store.scalar("SELECT octet_length(result) > 300000 FROM job_data WHERE job_id = :id", id=job_id)


async def test_a_store_that_is_gone_costs_no_result(store: Store, caller: Caller, tmp_path: Path) -> None:
    with SeaweedServer(tmp_path / "data", tmp_path) as server:
        async with store_on(server) as gone:
            await gone.ping()
            server.kill()
            job_id = await run(store, caller, gone, large())
    assert await keys_of(store, job_id) == set()
    assert await store.scalar("SELECT octet_length(result) > 300000 FROM job_data WHERE job_id = :id", id=job_id)


async def test_of_a_job_that_is_to_be_tried_again_nothing_is_written(store: Store, objects: ObjectStore) -> None:
    again = Ended(uuid.uuid4(), 1, 1, JobStatus.QUEUED, result=bytes(INLINE + 1))
    assert await placed(objects, again) is again


async def test_a_retry_that_leaves_less_leaves_no_large_result_of_the_attempt_before(
    store: Store, caller: Caller, objects: ObjectStore
) -> None:
    job_id = await queued(store, caller, units=1)
    (job,) = await claimed(store)
    partial = Ended(job_id, caller.account_id, job.fence, JobStatus.FAILED, 1, result=json.dumps("a" * INLINE).encode())
    await end(store.engine, [await placed(objects, partial)])
    (former,) = await keys_of(store, job_id)
    assert await swept(Background(store.engine, store.redis, objects), prefix_of_job(caller, job_id))
    assert len(await result_bytes(store, objects, job_id)) == INLINE + 2
    await store.execute("UPDATE jobs SET status = 'queued', finished_at = NULL WHERE id = :id", id=job_id)
    (again,) = await claimed(store)
    small = Ended(job_id, caller.account_id, again.fence, JobStatus.SUCCEEDED, 1, result=b"1")
    await end(store.engine, [await placed(objects, small)])
    assert await result_bytes(store, objects, job_id) == b"1"
    await swept(Background(store.engine, store.redis, objects), prefix_of_job(caller, job_id))
    assert former not in {each.key async for each in objects.list(prefix_of_job(caller, job_id))}


async def test_only_the_attempt_that_has_a_job_may_still_name_an_object(store: Store, caller: Caller) -> None:
    job_id = await queued(store, caller, units=0)
    (job,) = await claimed(store)
    mine = JobKey(caller.account_id, job_id, job.fence, 0)
    other = [
        str(JobKey(caller.account_id, job_id, job.fence - 1, 0)),
        str(JobKey(caller.account_id + 1, job_id, job.fence, 0)),
        str(JobKey(caller.account_id, uuid.uuid4(), job.fence, 0)),
        f"jobs/{caller.account_id}/{job_id}/{job.fence}",
        f"other/{caller.account_id}/{job_id}/{job.fence}/0",
    ]
    assert await named(store.engine, [str(mine), *other]) == {str(mine)}
    named_by = Artifact("a", "text/plain", None, str(mine), 1, "0" * 64)
    ended = Ended(job_id, caller.account_id, job.fence, JobStatus.SUCCEEDED, artifacts=(named_by,))
    await end(store.engine, [ended])
    assert await named(store.engine, [str(mine), *other]) == {str(mine)}
    await store.execute("DELETE FROM job_artifacts")
    assert await named(store.engine, [str(mine)]) == set()


async def test_all_objects_of_a_deleted_account_are_forgotten_and_no_others(store: Store, objects: ObjectStore) -> None:
    gone, alive = await store.account(), await store.account()
    stores = Background(store.engine, store.redis, objects)
    keys = [str(JobKey(each.account_id, uuid.uuid4(), 1, 0)) for each in (gone, alive)]
    for key in keys:
        await objects.put_bytes(key, b"x")
    await forget(stores, gone.account_id)
    assert [each.key async for each in objects.list(prefix_of(gone.account_id))] == []
    assert keys[1] in [each.key async for each in objects.list(prefix_of(alive.account_id))]
    await forget(Background(store.engine, store.redis), gone.account_id)
