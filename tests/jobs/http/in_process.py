"""The routes of jobs on a real server and real stores, without workers: a test says what becomes of a job."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, edge_of, refused_of, running
from tests.store.stores import Caller, Store

from luna_serving.access.holds import Holds
from luna_serving.edge.fastapi_app import build_api
from luna_serving.jobs.routes.parts import JobParts
from luna_serving.jobs.routes.routes import router
from luna_serving.jobs.routes.watching import Watching, WatchMetrics
from luna_serving.jobs.service import JobService
from luna_serving.jobs.wake import Waker
from luna_serving.webhooks.addresses import Allowed
from luna_store.platform.idempotency import IdempotencyKeys


@dataclass
class Api:
    client: httpx.AsyncClient
    watching: Watching


@asynccontextmanager
async def serving(store: Store, caller: Caller, *, timeout_s: float = 10.0, **more: Any) -> AsyncIterator[Api]:
    wired, waker = access_of(store), Waker(store.redis)
    refused = refused_of(wired)
    watching = Watching(store.engine, store.redis, WatchMetrics(CollectorRegistry()))
    parts = JobParts(
        authorization=wired.authorization,
        service=JobService(store.engine, Holds(store.engine, wired.charges, timeout_s=4), waker, timeout_s=4),
        engine=store.engine,
        waker=waker,
        watching=watching,
        keys=IdempotencyKeys(store.engine),
        kinds={},
        webhooks=Allowed(),
        max_body_bytes=10**6,
        timeout_s=timeout_s,
        **more,
    )
    api = build_api([], [router(parts)], refused.own_standing, refused.counted)
    try:
        async with edge_of(wired, [], api, refused=refused) as edge, running(edge) as url:
            headers = {"X-API-Key": caller.key.secret}
            async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=20) as client:
                yield Api(client, watching)
    finally:
        await watching.close()
