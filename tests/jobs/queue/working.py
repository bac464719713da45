"""Job workers with kinds of tests: in the test's process, or in one of their own that can be killed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.jobs.background import Background
from luna_serving.jobs.kinds import Finished, JobInvalid, JobKind, Running
from luna_serving.jobs.running.metrics import JobMetrics
from luna_serving.jobs.running.worker import JobWorker, Worker
from luna_serving.objects.client import ObjectStore
from luna_store.jobs import leases as leases_module
from luna_store.jobs.claiming import LEASE_S
from luna_store.jobs.ending import Artifact
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

KIND = "test"


async def work(running: Running) -> Finished:
    """Steps of a hundredth of a second each; parameters say how many, and what goes wrong."""
    parameters = json.loads(running.parameters)
    done = int(running.checkpoint or 0)
    steps = int(parameters.get("units", 1))
    if wrong := parameters.get("invalid"):
        raise JobInvalid("/steps", wrong)
    if parameters.get("unavailable"):
        await running.compute("none", [])
    if parameters.get("fails"):
        raise RuntimeError("a fault of ours")
    pause_s = float(parameters.get("pause_s", 0.01))
    while done < steps:
        await asyncio.sleep(pause_s)
        done += 1
        running.report(done)
        running.keep(str(done).encode())
        running.partial(json.dumps({"steps": done}).encode(), done)
    made = {"steps": done, "from": int(running.checkpoint or 0)}
    if (size := parameters.get("result_bytes")) is not None:
        made["results"] = [{"x": i, "text": "a" * 1000} for i in range(size // 1000)]
    files = parameters.get("artifacts", {})
    artifacts = tuple(Artifact.of(name, "text/plain", b"b" * size) for name, size in files.items())
    return Finished(json.dumps(made).encode(), artifacts=artifacts)


async def _no_replica(capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
    raise ReplicaUnavailable(capability)


def worker(
    engine: AsyncEngine,
    leases: AsyncEngine,
    redis: Redis,
    name: str,
    slots: int = 16,
    lease_s: float = LEASE_S,
    objects: ObjectStore | None = None,
) -> JobWorker:
    """A worker that runs `work`."""
    kinds = {KIND: JobKind(KIND, "Works.", work)}
    metrics, stores = JobMetrics(CollectorRegistry()), Background(engine, redis, objects)
    return JobWorker(Worker(name, stores, leases, kinds, _no_replica, metrics, slots, lease_s))


@asynccontextmanager
async def working(
    engine: AsyncEngine, redis: Redis, name: str = "here", slots: int = 16, objects: ObjectStore | None = None
) -> AsyncIterator[JobWorker]:
    """A worker in this process, stopped as a replica stops it."""
    made = worker(engine, engine, redis, name, slots, objects=objects)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def main(slots: int, lease_s: float) -> None:
    """A worker of this process, under the servers that the environment names.

    Jobs may lose it as often as it comes: on a slow machine a lease also ends while Postgres restarts, and what is
    counted amid many faults is that none is lost.
    """
    leases_module.MOST_LOSSES = 10_000  # type: ignore[misc]
    engine, leases = (async_engine(os.environ["DATABASE_URL"], actor="workers") for _ in range(2))
    redis = redis_client(os.environ["REDIS_URL"], timeout_s=1.0)
    sys.stdout.write("works\n")
    sys.stdout.flush()
    await worker(engine, leases, redis, f"process/{os.getpid()}", slots, lease_s).run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else LEASE_S))
