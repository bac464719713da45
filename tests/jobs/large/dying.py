"""A job worker with an object store, in a process of its own, which kills itself where a test says so."""

import asyncio
import os
import sys

from prometheus_client import CollectorRegistry
from tests.jobs.queue.working import worker
from tests.stopping import dying

from luna_serving.jobs.running.endings import Endings
from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.settings import ObjectsSettings
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

OWNERS = {"objects": ObjectStore, "endings": Endings}


async def main(place: str, when: str, call: int) -> None:
    """Run jobs until the `call`-th call of `owner.function`, and die `before` or `after` it."""
    owner, name = place.split(".")
    setattr(OWNERS[owner], name, dying(getattr(OWNERS[owner], name), when, call))
    access = ObjectAccess.from_environment()
    assert access is not None
    engine, leases = (async_engine(os.environ["DATABASE_URL"], actor="workers") for _ in range(2))
    redis = redis_client(os.environ["REDIS_URL"], timeout_s=1.0)
    objects = ObjectStore(access, ObjectsSettings(), ObjectMetrics(CollectorRegistry()))
    await worker(engine, leases, redis, f"process/{os.getpid()}", lease_s=2.0, objects=objects).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
