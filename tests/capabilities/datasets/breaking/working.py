"""A worker of validations in a process of its own, which kills itself where a test says so."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from tests.stopping import dying

from luna_serving.capabilities.datasets.job_kinds import job_kinds
from luna_serving.capabilities.datasets.settings import DatasetsSettings
from luna_serving.capabilities.datasets.store import validating
from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.jobs.background import Background
from luna_serving.jobs.running.endings import Endings
from luna_serving.jobs.running.metrics import JobMetrics
from luna_serving.jobs.running.worker import JobWorker, Worker
from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.settings import ObjectsSettings
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

OWNERS: dict[str, Any] = {"rows": validating, "objects": ObjectStore, "job": Endings}


async def _no_replica(capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
    raise ReplicaUnavailable(capability)


async def main(deaths: Sequence[str]) -> None:
    """Run jobs; each death is `owner.function:when:call`."""
    for death in deaths:
        place, when, call = death.split(":")
        owner, name = place.split(".")
        setattr(OWNERS[owner], name, dying(getattr(OWNERS[owner], name), when, int(call)))
    access = ObjectAccess.from_environment()
    assert access is not None
    registry = CollectorRegistry()
    settings = ObjectsSettings(answer_timeout_s=2.0, connect_timeout_s=1.0, attempts=1)
    engine, leases = (async_engine(os.environ["DATABASE_URL"], actor="workers") for _ in range(2))
    stores = Background(
        engine,
        redis_client(os.environ["REDIS_URL"], timeout_s=1.0),
        ObjectStore(access, settings, ObjectMetrics(registry)),
        registry,
    )
    kinds = {kind.name: kind for kind in job_kinds(DatasetsSettings())}
    await JobWorker(
        Worker(f"process/{os.getpid()}", stores, leases, kinds, _no_replica, JobMetrics(registry), 8, 2.0)
    ).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
