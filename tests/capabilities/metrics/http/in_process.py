"""An ingress replica with the capability over a real shard, in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, as_it_is, edge_of, nobody, running
from tests.store.stores import Caller, Store

from luna_serving.capabilities.contract import Platform
from luna_serving.capabilities.metrics.capability import METRICS
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.shard import MetricsShard
from luna_serving.edge.fastapi_app import build_api
from luna_serving.live.provided import ProvidedAlertLog
from luna_serving.settings import PlatformSettings
from luna_serving.shards.client import ShardClient


@asynccontextmanager
async def served(store: Store, shard: MetricsShard, **settings: Any) -> AsyncIterator[str]:
    """The URL of `/api/v1` of a replica."""
    wired = access_of(store)
    given: dict[str, Any] = {
        "settings": PlatformSettings(),
        "engine": store.engine,
        "redis": store.redis,
        "charges": wired.charges,
        "authorization": wired.authorization,
        "registry": CollectorRegistry(),
        "shards": {"metrics": ShardClient([shard.ask])},
        "alert_log": ProvidedAlertLog(),
    }
    wiring = Platform(**{each.name: None for each in fields(Platform)} | given)
    routes = METRICS.serve(wiring, MetricsSettings(**settings))
    api = build_api(routes.operations, routes.routers, nobody, as_it_is)
    async with edge_of(wired, routes.operations, api) as edge, running(edge) as url:
        try:
            yield f"{url}/api/v1"
        finally:
            for close in routes.closing:
                await close()


def client(url: str, caller: Caller, **headers: str) -> httpx.AsyncClient:
    """Calls as an account."""
    keyed = {"X-API-Key": caller.key.secret} | headers
    return httpx.AsyncClient(base_url=f"{url}/{caller.account_id}", headers=keyed, timeout=30)
