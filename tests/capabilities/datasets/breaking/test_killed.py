"""Validations whose worker or object store is killed: one verdict, exact bytes, nothing left over."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.capabilities.datasets.sets import CONTRACT, account_of, declared, table
from tests.jobs.queue.queues import queued
from tests.objects.fixture import store_on

from luna_serving.capabilities.datasets.loops import swept
from luna_serving.capabilities.datasets.store import starting, validating
from luna_serving.capabilities.datasets.store.records import Declared, SetRecord
from luna_serving.capabilities.datasets.store.starting import NewSet
from luna_serving.capabilities.datasets.uploads.keys import upload_key
from luna_serving.capabilities.datasets.uploads.service import VALIDATION
from luna_serving.jobs.background import Background
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.keys import account_prefix
from luna_store.audit.actors import Actor
from luna_store.platform.leases import acquire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.store.stores import Caller, Store

    from luna_serving.objects.client import ObjectStore

FILES = {f"{shop}.csv": table(shop) for shop in "abcde"}
WORKER = "tests.capabilities.datasets.breaking.working"


async def nothing(connection: Any, record: Any) -> None:
    del connection, record


async def completed(
    store: Store, objects: ObjectStore, caller: Caller, files: Mapping[str, bytes] = FILES
) -> SetRecord:
    """A set whose files are in the object store and whose validation waits for a worker."""
    new = NewSet(caller.account_id, "sales", "series", CONTRACT, [Declared(**each) for each in declared(files)])
    record, rows = await starting.start(store.engine, new, most_sets=100, also=nothing, by=Actor("test"))
    for row in rows:
        if row.object_key is None:
            await objects.put_bytes(upload_key(caller.account_id, record.id, row.position), files[row.path])
    parameters = b'{"dataset_id": "%s"}' % str(record.id).encode()
    job_id = uuid.uuid4()

    async with store.engine.begin() as connection:
        # The worker must not see the job before the set knows it.
        job_id = await queued(store, caller, units=1, kind=VALIDATION, parameters=parameters)
        await validating.begin(connection, caller.account_id, record.id, job_id)
    return record


@asynccontextmanager
async def worker(store: Store, server: SeaweedServer, *deaths: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | server.environment
    environment |= {
        "DATABASE_URL": store.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""),
        "REDIS_URL": redis_url(store),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", WORKER, *deaths, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def redis_url(store: Store) -> str:
    arguments = store.redis.connection_pool.connection_kwargs
    if "path" in arguments:
        return f"unix://{arguments['path']}?db={arguments.get('db', 0)}"
    password = f":{arguments['password']}@" if arguments.get("password") else ""
    return f"redis://{password}{arguments['host']}:{arguments['port']}/{arguments.get('db', 0)}"


async def state(store: Store, record: SetRecord) -> str:
    return str(await store.scalar("SELECT state FROM datasets WHERE id = :id", id=record.id))


async def ended(store: Store, record: SetRecord, within_s: float = 150) -> str:
    """The final state of a set, once its job has ended as well."""
    query = """
        SELECT d.state FROM datasets d JOIN jobs j ON j.id = d.job_id
        WHERE d.id = :id AND j.status NOT IN ('queued', 'running')
    """
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if (found := await store.scalar(query, id=record.id)) is not None:
            return str(found)
        await asyncio.sleep(0.1)
    raise AssertionError("no verdict")


async def is_exact(store: Store, objects: ObjectStore, caller: Caller) -> None:
    """The bytes that count are those in the bucket, and each object is one that a row names."""
    lease = await acquire(store.engine, f"test/{uuid.uuid4()}", "test", lasts_s=60)
    assert lease is not None
    await swept(
        Background(store.engine, store.redis, objects), objects, lease, timedelta(0), account_prefix(caller.account_id)
    )
    listed = {each.key: each.bytes async for each in objects.list(account_prefix(caller.account_id))}
    async with store.engine.connect() as connection:
        from sqlalchemy import text

        query = text("SELECT key, bytes FROM dataset_objects WHERE account_id = :id")
        rows = {row.key: row.bytes for row in await connection.execute(query, {"id": caller.account_id})}
    assert listed == rows
    query = "SELECT sum(reserved_bytes) FROM datasets WHERE account_id = :id"
    assert await store.scalar(query, id=caller.account_id) == 0


IN_CI = ["rows.claim_objects:after:1", "objects.copy:after:3", "rows.claim_made:after:1", "rows.end:after:1"]
SLOW = [
    "rows.claim_objects:before:1",
    "rows.verify_objects:before:1",
    "rows.verify_objects:after:1",
    "objects.put_file:after:1",
    "rows.end:before:1",
    "job.end:before:1",
]
DEATHS = [*IN_CI, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW)]


@pytest.mark.parametrize("death", DEATHS)
async def test_a_worker_that_is_killed_anywhere_leaves_one_verdict_and_exact_bytes(
    store: Store, objects: ObjectStore, object_server: SeaweedServer, death: str
) -> None:
    caller = await account_of(store)
    record = await completed(store, objects, caller)
    async with worker(store, object_server, death) as first:
        assert await asyncio.wait_for(first.wait(), 150) == -9
    # Another worker waits for the lease to end.
    await store.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE status = 'running'")
    async with worker(store, object_server):
        assert await ended(store, record) == "valid"
    await is_exact(store, objects, caller)
    query = "SELECT count(*) FROM dataset_reports WHERE dataset_id = :id"
    assert await store.scalar(query, id=record.id) == 1
    query = "SELECT count(*) FROM jobs j JOIN datasets d ON d.job_id = j.id WHERE d.id = :id AND j.units_used = 1"
    assert await store.scalar(query, id=record.id) == 1


async def test_while_the_object_store_is_killed_and_restarted_a_validation_waits_and_ends(
    store: Store, tmp_path: Any
) -> None:
    caller = await account_of(store)
    with SeaweedServer(tmp_path / "objects", tmp_path) as server:
        async with store_on(server) as objects:
            record = await completed(store, objects, caller)
            server.kill()
            async with worker(store, server):
                await asyncio.sleep(2)
                assert await state(store, record) == "validating"
                await asyncio.to_thread(server.start)
                assert await ended(store, record) == "valid"
            await is_exact(store, objects, caller)


async def test_a_set_that_is_deleted_while_it_is_validated_leaves_nothing(
    store: Store, objects: ObjectStore, object_server: SeaweedServer
) -> None:
    caller = await account_of(store)
    record = await completed(store, objects, caller)
    async with worker(store, object_server, "rows.claim_made:before:1") as first:
        assert await asyncio.wait_for(first.wait(), 150) == -9
    await store.execute("DELETE FROM datasets WHERE id = :id", id=record.id)
    await store.execute("DELETE FROM dataset_objects WHERE account_id = :id", id=caller.account_id)
    await store.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE status = 'running'")
    async with worker(store, object_server):
        until = time.monotonic() + 60
        query = "SELECT status FROM jobs WHERE account_id = :id"
        while await store.scalar(query, id=caller.account_id) in {"queued", "running"}:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
    lease = await acquire(store.engine, f"test/{uuid.uuid4()}", "test", lasts_s=60)
    assert lease is not None
    await swept(
        Background(store.engine, store.redis, objects), objects, lease, timedelta(0), account_prefix(caller.account_id)
    )
    assert [each async for each in objects.list(account_prefix(caller.account_id))] == []
    # The job cost nothing.
    assert await store.scalar("SELECT units_used FROM jobs WHERE account_id = :id", id=caller.account_id) == 0
