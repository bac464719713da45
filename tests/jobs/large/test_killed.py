"""A worker dies between the objects of a job and the transaction that names them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.capabilities.datasets.breaking.test_killed import redis_url
from tests.jobs.large.test_placing import FILES, keys_of, large, prefix_of_job, result_bytes
from tests.jobs.queue.queues import queued
from tests.jobs.queue.test_endings import settled
from tests.jobs.queue.test_running import status_of
from tests.jobs.queue.working import working
from tests.store.stores import Store

from luna_serving.jobs.background import Background
from luna_serving.jobs.sweeping import swept
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.client import ObjectStore


@asynccontextmanager
async def dying_worker(store: Store, server: SeaweedServer, *death: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | server.environment
    environment |= {
        "DATABASE_URL": store.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""),
        "REDIS_URL": redis_url(store),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.jobs.large.dying", *death, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    "death",
    [
        # Amid the objects, behind them all, and behind the commit that names them.
        ("objects.put_bytes", "after", "1"),
        ("endings.end", "before", "1"),
        ("endings._commit", "after", "1"),
    ],
    ids=".".join,
)
async def test_a_worker_killed_about_its_commit_loses_nothing_and_leaves_no_orphan(
    store: Store, objects: ObjectStore, object_server: SeaweedServer, death: tuple[str, str, str]
) -> None:
    caller = await store.account()
    job_id = await queued(store, caller, units=1, parameters=large())
    prefix, stores = prefix_of_job(caller, job_id), Background(store.engine, store.redis, objects)
    async with dying_worker(store, object_server, *death) as first:
        assert await asyncio.wait_for(first.wait(), 60) == -9
    written = {each.key async for each in objects.list(prefix)}
    assert written
    # The dead worker's lease: its attempt might still name them.
    await swept(stores, prefix)
    assert {each.key async for each in objects.list(prefix)} == written
    await store.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE status = 'running'")
    async with working(store.engine, store.redis, objects=objects):
        await status_of(store, job_id, "succeeded", within_s=60)
    await swept(stores, prefix)
    assert {each.key async for each in objects.list(prefix)} == await keys_of(store, job_id)
    assert len(await keys_of(store, job_id)) == 1 + sum(size > 256 * 1024 for size in FILES.values())
    assert (await result_bytes(store, objects, job_id)).endswith(b"}]}")
    assert await settled(store, caller) == 1


async def test_objects_of_a_job_whose_account_is_deleted_while_it_runs_are_swept(
    store: Store, objects: ObjectStore, object_server: SeaweedServer
) -> None:
    caller = await store.account()
    job_id = await queued(store, caller, units=1, parameters=large())
    async with dying_worker(store, object_server, "endings.end", "before", "1") as first:
        assert await asyncio.wait_for(first.wait(), 60) == -9
    await store.accounts.delete(caller.account_id, retain=False)
    report = await swept(Background(store.engine, store.redis, objects), prefix_of_job(caller, job_id))
    assert report is not None
    assert report.deleted == report.objects > 0
