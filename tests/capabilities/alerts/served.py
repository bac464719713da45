"""An ingress replica with the capability, and its loops, over samples in memory and real stores."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, edge_of, nobody, running

from luna_serving.capabilities.alerts import parts
from luna_serving.capabilities.alerts.capability import ALERTS
from luna_serving.capabilities.alerts.settings import AlertsSettings
from luna_serving.capabilities.contract import Platform
from luna_serving.edge.fastapi_app import build_api
from luna_serving.jobs.background import Background
from luna_serving.live.provided import ProvidedAlertLog
from luna_serving.settings import PlatformSettings, WebhookSettings
from luna_store.platform.leases import acquire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.capabilities.alerts.samples import MemorySamples
    from tests.store.stores import Caller, Store

    from luna_serving.shards.client import ShardClient

PLATFORM = PlatformSettings(webhooks=WebhookSettings(allow_http=True, allow_networks=("127.0.0.0/8",), timeout_s=0.5))
HOLDERS = itertools.count()


@dataclass
class Served:
    """A running ingress replica."""

    url: str
    background: Background
    registry: CollectorRegistry

    def client(self, caller: Caller, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1/{caller.account_id}",
            headers={"X-API-Key": caller.key.secret} | headers,
            timeout=30,
        )


@asynccontextmanager
async def served(
    store: Store,
    samples: MemorySamples | None,
    *,
    shards: Mapping[str, ShardClient] | None = None,
    platform: PlatformSettings = PLATFORM,
    looping: bool = True,
    **settings: Any,
) -> AsyncIterator[Served]:
    """Serve the routes, and run the loops as a worker does.

    Args:
        store: the stores.
        samples: in the place of a shard's; None with `shards`.
        shards: those of metrics.
        platform: settings.
        looping: whether a worker runs.
        settings: of the capability.
    """
    wired, registry = access_of(store), CollectorRegistry()
    read = AlertsSettings(**settings)
    given = {
        "settings": platform,
        "engine": store.engine,
        "redis": store.redis,
        "charges": wired.charges,
        "authorization": wired.authorization,
        "registry": registry,
        "shards": shards or {},
        "alert_log": ProvidedAlertLog(),
    }
    wiring = Platform(**{each.name: None for each in fields(Platform)} | given)

    async def as_it_is(_scope: Any, _headers: Any, problem: Any) -> Any:
        return problem

    # Another source of samples, in the place of the shard's.
    with patch.object(parts, "NoSamples", lambda: samples):
        routes = ALERTS.serve(wiring, read)
        background = Background(store.engine, store.redis, registry=registry, shards=shards or {})
        api = build_api(routes.operations, routes.routers, nobody, as_it_is)
        async with edge_of(wired, routes.operations, api) as edge, running(edge) as url:
            worker = asyncio.create_task(work(background, platform, read)) if looping else None
            try:
                yield Served(url, background, registry)
            finally:
                if worker is not None:
                    worker.cancel()
                    await asyncio.wait({worker})


async def work(background: Background, platform: PlatformSettings, settings: AlertsSettings) -> None:
    """Run the loops without their leases' competition."""
    tasks = []
    for loop in ALERTS.loops(platform, settings):
        lease = await acquire(background.engine, f"loop:{loop.name}", f"test{next(HOLDERS)}", lasts_s=600)
        assert lease is not None

        async def again(loop: Any = loop, lease: Any = lease) -> None:
            while True:
                await loop.run(background, lease)
                await asyncio.sleep(min(loop.every_s, 0.2))

        tasks.append(asyncio.create_task(again(), name=loop.name))
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
