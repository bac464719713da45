"""A worker in a process of its own, which a test may kill: `python evaluator_process.py DATABASE_URL`.

It competes for the lease as workers do. The samples are those of the table `test_samples`.
"""

import asyncio
import sys
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import text
from tests.capabilities.alerts.samples import MemorySamples

from luna_serving.capabilities.alerts import loops, parts
from luna_serving.capabilities.alerts.settings import AlertsSettings
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loops
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.settings import PlatformSettings, WebhookSettings
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

PLATFORM = PlatformSettings(webhooks=WebhookSettings(allow_http=True, allow_networks=("127.0.0.0/8",), timeout_s=1.0))


class StoredSamples(MemorySamples):
    """Reads all samples before each question."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._engine = async_engine(url, pool_size=2)

    async def instant(self, account_id: int, queries: Any, *, most_samples: int = 0) -> Any:
        async with self._engine.connect() as connection:
            for row in await connection.execute(text("SELECT host, at_ms, value FROM test_samples")):
                self.put("cpu", row.at_ms, row.value, host=row.host)
        return await super().instant(account_id, queries)


async def main(url: str, redis_url: str, name: str) -> None:
    samples = StoredSamples(url)
    parts.NoSamples = lambda: samples  # type: ignore[assignment,misc]
    background = Background(async_engine(url, pool_size=4), redis_client(redis_url))
    own = loops.loops(PLATFORM, AlertsSettings())
    metrics = LoopMetrics(CollectorRegistry())
    await Loops(
        async_engine(url, pool_size=2), background, own, holder=name, metrics=metrics, lease_s=1.0, ask_every_s=0.2
    ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
