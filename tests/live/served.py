"""Live updates on a real server, as Serve runs one, with ports in memory and a real Valkey."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from tests.edge.running import access_of, refused_of
from tests.live.memory import MemoryAlerts, MemoryShard
from tests.store.stores import Caller, Store
from websockets.asyncio.client import ClientConnection, connect

from luna_serving.capabilities.metrics.live.limits import ConnectionLimit
from luna_serving.capabilities.metrics.live.stream import router
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.middleware import ServeErrorsAsProblems
from luna_serving.edge.sockets import SocketRoute, Sockets
from luna_serving.live.admission import Admission
from luna_serving.live.hub import Hub
from luna_serving.live.metrics import LiveMetrics, PublishingMetrics
from luna_serving.live.publishing import Publisher
from luna_serving.live.session import LiveService
from luna_serving.samples.client import READING
from luna_serving.telemetry.metrics import RequestMetrics
from luna_store.people.roles import Role


@dataclass
class Served:
    """One ingress replica."""

    url: str
    server: uvicorn.Server
    service: LiveService
    registry: CollectorRegistry
    shard: MemoryShard
    alerts: MemoryAlerts

    def connect(self, caller: Caller, **options: Any) -> connect:
        """A WebSocket."""
        url = f"{self.url.replace('http', 'ws', 1)}/{caller.account_id}/ws/metrics"
        return connect(url, additional_headers={"X-API-Key": caller.key.secret}, **options)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def served(
    store: Store,
    shard: MemoryShard,
    alerts: MemoryAlerts,
    *,
    redis: Redis | None = None,
    most_series: int = 1_000,
    most_connections: int = 100,
    check_s: float = 15.0,
) -> AsyncIterator[Served]:
    wired = access_of(store)
    registry = CollectorRegistry()
    metrics = LiveMetrics(registry)
    hub = Hub(redis or store.redis, shard, alerts, metrics, most_series=most_series)
    service = LiveService(hub, Admission(wired.authorization, check_s=check_s), metrics, most_series)
    limit = ConnectionLimit(hub, most_connections, 1_000)
    refused = refused_of(wired)
    sockets = Sockets(
        [SocketRoute("ws/metrics", service.serve, least=Role.VIEWER, grant=READING, admit=limit.admit)],
        wired.authorization,
        RequestMetrics(registry),
        refused,
        max_connections=1_000,
    )
    routes = router(wired.authorization, service, limit, 10.0)
    api = build_api([], [routes], refused.own_standing, refused.counted)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (sockets if scope["type"] == "websocket" else api)(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(ServeErrorsAsProblems(app), lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        yield Served(url, server, service, registry, shard, alerts)
    finally:
        server.should_exit = True
        await task
        await service.admission.close()
        await hub.close()


@asynccontextmanager
async def publishing(redis: Redis) -> AsyncIterator[Publisher]:
    publisher = Publisher(redis, PublishingMetrics(CollectorRegistry()))
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


class Client:
    """Reads and remembers the messages of a connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seqs: list[int] = []
        self.epoch = ""

    async def send(self, **words: Any) -> None:
        await self.connection.send(json.dumps(words))

    async def next(self, seconds: float = 10) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        if "seq" in message:
            assert not self.seqs or message["seq"] > self.seqs[-1] or message["type"] == "subscribed"
            self.seqs.append(message["seq"])
            self.epoch = message["epoch"]
        return message

    async def of(self, kind: str, seconds: float = 10) -> dict[str, Any]:
        """The next message of a kind."""
        async with asyncio.timeout(seconds):
            while (message := await self.next(seconds))["type"] != kind:
                pass
        return message

    async def value(self, wanted: float, seconds: float = 10) -> None:
        """Wait until an update shows a value."""
        async with asyncio.timeout(seconds):
            while all(each["value"] != wanted for each in (await self.of("update", seconds))["series"]):
                pass

    @classmethod
    async def subscribed(cls, connection: ClientConnection, *selectors: str, **options: Any) -> Self:
        client = cls(connection)
        await client.send(type="subscribe", selectors=selectors, **options)
        assert (await client.next())["type"] == "subscribed"
        return client
