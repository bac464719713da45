"""Wires a worker in its own process, without importing anything that serves calls."""

from collections.abc import Sequence
from typing import Any

from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop, Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.jobs.workers import ConnectedWorker, holder_name
from luna_serving.objects.wiring import object_store
from luna_serving.settings import LogSettings, ObjectsSettings, TraceSettings
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.process import begin
from luna_store.accounts.secrets import Secrets
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

# Connections for leases, in a separate engine: no renewal waits for a connection that a run holds.
LEASE_CONNECTIONS = 2


async def connect_workers(
    loops: Sequence[Loop[Background]],
    store_timeout_s: float,
    objects: ObjectsSettings,
    log: LogSettings,
    trace: TraceSettings,
    board: Any,  # noqa: ANN401  a DeploymentHandle
) -> ConnectedWorker:
    """Wire the loops and start to report metrics. Call it in the replica's process, on its event loop.

    Args:
        loops: the loops of all capabilities that are served.
        store_timeout_s: seconds that Redis has to answer.
        objects: how the object store is called.
        log: how lines look.
        trace: where spans go.
        board: the handle of the metrics board.
    """
    telemetry = begin("workers", log, trace)
    secrets = Secrets.from_environment()
    url = secrets.database_url.get_secret_value()
    stores = Background(
        async_engine(url, actor="workers"),
        redis_client(secrets.redis_url.get_secret_value(), timeout_s=store_timeout_s),
        object_store(objects, telemetry.registry),
    )
    leases = async_engine(url, actor="workers", pool_size=LEASE_CONNECTIONS)
    worker = Loops(leases, stores, loops, holder=holder_name(), metrics=LoopMetrics(telemetry.registry))
    Reporter(board, telemetry.registry).start("workers")

    async def close() -> None:
        if stores.objects is not None:
            await stores.objects.close()
        await stores.redis.aclose()
        await stores.engine.dispose()
        await leases.dispose()

    return ConnectedWorker((worker.run,), close)
