"""A worker whose slots are full is woken by every new job, and must not spin."""

import asyncio
import json
import time

from tests.jobs.queue.queues import column, queued
from tests.jobs.queue.working import working
from tests.jobs.webhooks.receivers import eventually
from tests.store.stores import Store

from luna_serving.jobs.wake import Waker

LONG = json.dumps({"units": 1000, "pause_s": 0.01}).encode()


async def test_a_full_worker_that_is_woken_leaves_its_jobs_the_event_loop(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller, units=1, parameters=LONG)
    async with working(store.engine, store.redis, slots=1):

        async def runs() -> bool:
            return await column(store, job_id, "status") == "running"

        await eventually(runs)
        await queued(store, caller)
        for _ in range(5):
            await Waker(store.redis).wake()
            begun = time.monotonic()
            await asyncio.sleep(0.1)
            assert time.monotonic() - begun < 5
