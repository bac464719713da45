"""A job worker with the kind `montecarlo` in a process of its own, which computes blocks itself and can be killed."""

import asyncio
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.montecarlo.compute import Worker as Computer
from luna_serving.capabilities.montecarlo.job_kind import job_kinds
from luna_serving.capabilities.montecarlo.metrics import MonteCarloMetrics
from luna_serving.capabilities.montecarlo.settings import MonteCarloSettings
from luna_serving.jobs.background import Background
from luna_serving.jobs.running.metrics import JobMetrics
from luna_serving.jobs.running.worker import JobWorker, Worker
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client


async def main(threads: int, lease_s: float) -> None:
    """Work under the servers that the environment names."""
    engine, leases = (async_engine(os.environ["DATABASE_URL"], actor="workers") for _ in range(2))
    redis = redis_client(os.environ["REDIS_URL"], timeout_s=1.0)
    computer, pool = Computer(MonteCarloMetrics(CollectorRegistry())), ThreadPoolExecutor(threads)

    async def compute(capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        del capability
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(pool, computer.answer, job, lambda: False) for job in jobs]

    kinds = {kind.name: kind for kind in job_kinds(MonteCarloSettings(threads=threads, ahead=2 * threads))}
    metrics = JobMetrics(CollectorRegistry())
    name = f"process/{os.getpid()}"
    worker = JobWorker(Worker(name, Background(engine, redis), leases, kinds, compute, metrics, 4, lease_s))
    sys.stdout.write("works\n")
    sys.stdout.flush()
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
