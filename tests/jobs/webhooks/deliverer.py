"""A deliverer in a process of its own, which a test may kill: `python deliverer.py DATABASE_URL`."""

import asyncio
import sys

from prometheus_client import CollectorRegistry

from luna_serving.jobs.webhooks.delivering import Deliverer
from luna_serving.jobs.webhooks.metrics import WebhookMetrics
from luna_serving.settings import WebhookSettings
from luna_store.platform.postgres import async_engine

SETTINGS = WebhookSettings(allow_http=True, allow_networks=("127.0.0.0/8",))


async def main(url: str) -> None:
    await Deliverer(async_engine(url), SETTINGS, WebhookMetrics(CollectorRegistry())).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
