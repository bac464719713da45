"""Wires a worker in its own process, without importing anything that serves calls."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from luna_serving.dispatch.replica_call import on_replica
from luna_serving.jobs.background import Background
from luna_serving.jobs.housekeeping import BacklogMetrics, housekeeping
from luna_serving.jobs.kinds import JobKind
from luna_serving.jobs.loops import Loop, Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.jobs.running.metrics import JobMetrics
from luna_serving.jobs.running.worker import JobWorker, Worker
from luna_serving.jobs.webhooks.delivering import Deliverer
from luna_serving.jobs.webhooks.metrics import WebhookMetrics
from luna_serving.jobs.workers import ConnectedWorker, holder_name
from luna_serving.objects.wiring import object_store
from luna_serving.settings import PlatformSettings
from luna_serving.shards.client import clients
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.process import begin
from luna_store.accounts.secrets import Secrets
from luna_store.jobs.demand import demand
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

# Connections for leases, in a separate engine: no renewal waits for a connection that a run holds.
LEASE_CONNECTIONS = 3


async def connect_workers(
    loops: Sequence[Loop[Background]],
    kinds: Sequence[JobKind],
    platform: PlatformSettings,
    board: Any,  # noqa: ANN401  a DeploymentHandle
    hosts: Mapping[str, Any],
    shards: Mapping[str, Sequence[Any]],
) -> ConnectedWorker:
    """Wire the loops, the jobs and the webhooks, and start to report metrics.

    Call it in the replica's process, on its event loop.

    Args:
        loops: the loops of all capabilities that are served.
        kinds: their kinds of jobs.
        platform: the settings.
        board: the handle of the metrics board.
        hosts: by capability, the handle of the deployment that computes for it.
        shards: by capability, the handles of its shards.
    """
    telemetry = begin("workers", platform.log, platform.trace)
    secrets = Secrets.from_environment()
    url = secrets.database_url.get_secret_value()
    stores = Background(
        async_engine(url, actor="workers"),
        redis_client(secrets.redis_url.get_secret_value(), timeout_s=platform.access.store_timeout_s),
        object_store(platform.objects, telemetry.registry),
        telemetry.registry,
        clients(shards),
    )
    leases = async_engine(url, actor="workers", pool_size=LEASE_CONNECTIONS)
    holder = holder_name()
    own = housekeeping(BacklogMetrics(telemetry.registry))
    periodic = Loops(leases, stores, (*loops, *own), holder=holder, metrics=LoopMetrics(telemetry.registry))
    worker = Worker(
        name=holder,
        stores=stores,
        leases=leases,
        kinds={kind.name: kind for kind in kinds},
        compute=computing(hosts, platform.workers.blocks),
        metrics=JobMetrics(telemetry.registry),
        slots=platform.workers.job_slots,
    )
    webhooks = Deliverer(stores.engine, platform.webhooks, WebhookMetrics(telemetry.registry))
    Reporter(board, telemetry.registry).start("workers")

    async def close() -> None:
        if stores.objects is not None:
            await stores.objects.close()
        await stores.redis.aclose()
        await stores.engine.dispose()
        await leases.dispose()

    return ConnectedWorker((periodic.run, JobWorker(worker).run, webhooks.run), close, partial(demand, leases))


def computing(
    hosts: Mapping[str, Any], at_once: int
) -> Callable[[str, Sequence[Any]], Coroutine[Any, Any, Sequence[Any]]]:
    """Sends blocks of jobs to the replicas of a capability, so many at once that live calls keep their share."""
    room = asyncio.Semaphore(at_once)

    async def compute(capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        async with room:
            return await on_replica(hosts[capability], capability, jobs)

    return compute
