"""The routes of the capability on a real server and real stores, with its real replica in the same process."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, edge_of, refused_of, running
from tests.store.stores import Caller, Store

from luna_serving.access.holds import Holds
from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica
from luna_serving.capabilities.blackscholes.routes import door
from luna_serving.capabilities.blackscholes.wire.reading import Reader
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.edge.fastapi_app import build_api
from luna_serving.jobs.doors.call import DoorParts
from luna_serving.jobs.doors.doors import Doors
from luna_serving.jobs.routes.parts import JobParts
from luna_serving.jobs.routes.routes import router
from luna_serving.jobs.routes.watching import Watching, WatchMetrics
from luna_serving.jobs.service import JobService
from luna_serving.jobs.wake import Waker
from luna_serving.telemetry.metrics import DispatchMetrics
from luna_serving.webhooks.addresses import Allowed
from luna_store.platform.idempotency import IdempotencyKeys

ROUTE = "/blackscholes"


@dataclass
class Served:
    client: httpx.AsyncClient
    store: Store
    caller: Caller
    computed: list[int]
    """Rows of each call that the replica computed."""

    async def remaining(self) -> int:
        """Units that the account has left."""
        answer = await self.client.get("/jobs/")
        found = re.search(r'"quota";r=(\d+)', answer.headers["ratelimit"])
        assert found is not None
        return int(found[1])


@asynccontextmanager
async def serving(
    store: Store, caller: Caller, replica: BlackScholesReplica, *, max_rows: int = 2_000_000
) -> AsyncIterator[Served]:
    wired, waker = access_of(store), Waker(store.redis)
    refused = refused_of(wired)
    watching = Watching(store.engine, store.redis, WatchMetrics(CollectorRegistry()))
    service = JobService(store.engine, Holds(store.engine, wired.charges, timeout_s=4), waker, timeout_s=4)
    keys = IdempotencyKeys(store.engine)
    computed: list[int] = []

    async def compute(jobs: Sequence[Any]) -> Sequence[Any]:
        computed.extend(job.rows for job in jobs)
        return await replica.compute(jobs)

    metrics = DispatchMetrics(CollectorRegistry()).of("blackscholes")
    gate = Gate(wired.charges, compute, GateLimits(100, 10**7, 100, 4, 30.0), metrics)
    doors = Doors(DoorParts(service, store.engine, watching, wired.charges, wired.authorization, keys, None))
    opened = door(gate, Reader(max_rows), 64 * 1024 * 1024)
    parts = JobParts(
        authorization=wired.authorization,
        service=service,
        engine=store.engine,
        waker=waker,
        watching=watching,
        keys=keys,
        kinds={"blackscholes": doors.prepare(opened)},
        webhooks=Allowed(),
        max_body_bytes=10**7,
        timeout_s=10.0,
    )
    operations = [doors.route(opened)]
    api = build_api(operations, [router(parts)], refused.own_standing, refused.counted)
    try:
        async with edge_of(wired, operations, api, refused=refused, timeout_s=30.0) as edge, running(edge) as url:
            headers = {"X-API-Key": caller.key.secret}
            async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=60) as client:
                yield Served(client, store, caller, computed)
    finally:
        await watching.close()
