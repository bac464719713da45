"""An edge on a real server, for what only a real connection shows."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from tests.store.stores import PEPPERS, Store

from luna_serving.access.credentials import Authenticator
from luna_serving.access.throttle.attempts import Attempts
from luna_serving.access.throttle.memory import MemoryBuckets
from luna_serving.access.throttle.metrics import ThrottleMetrics
from luna_serving.access.throttle.policy import Buckets
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import Access, access
from luna_serving.edge.asgi import Edge
from luna_serving.edge.bodies import ASGIApp, Scope
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.edge.middleware import ServeErrorsAsProblems
from luna_serving.edge.operation import Hot
from luna_serving.edge.recording import Recorder
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.settings import ThrottleSettings
from luna_serving.telemetry.metrics import AccessMetrics, RequestMetrics
from luna_serving.wire.problems import Problem

TOKENS = Tokens(PEPPERS, 900)


def access_of(store: Store) -> Access:
    return access(
        store.redis,
        store.quota,
        store.fallback,
        store.cache,
        store.accounts,
        Authenticator(PEPPERS, TOKENS),
        AccessMetrics(CollectorRegistry()),
        timeout_s=4,
    )


def refused_of(wired: Access, buckets: Buckets | None = None, networks: Sequence[str] = ()) -> RefusedCredentials:
    """What counts refused credentials, under the default limits; by default in memory."""
    metrics = ThrottleMetrics(CollectorRegistry())
    attempts = Attempts(buckets or MemoryBuckets(), wired.outage, ThrottleSettings(), PEPPERS, metrics)
    return RefusedCredentials(attempts, TrustedProxies(networks), wired.authorization)


async def nobody(_: Scope) -> None:
    """Recognises no caller."""


async def as_it_is(_scope: Scope, _headers: dict[bytes, bytes], problem: Problem) -> Problem:
    """Counts no refusal."""
    return problem


@asynccontextmanager
async def edge_of(
    wired: Access,
    operations: Sequence[Hot],
    rest: ASGIApp | None = None,
    timeout_s: float = 10.0,
    recorder: Recorder | None = None,
    refused: RefusedCredentials | None = None,
) -> AsyncIterator[Edge]:
    async def nothing(*_: object) -> None:
        raise AssertionError("no other route is asked")

    with ThreadPoolExecutor(1) as pool:
        yield Edge(
            operations,
            wired.authorization,
            wired.charges,
            rest or nothing,
            nothing,
            pool,
            recorder or Recorder(RequestMetrics(CollectorRegistry())),
            refused or refused_of(wired),
            max_body_bytes=10**6,
            timeout_s=timeout_s,
        )


@asynccontextmanager
async def running(app: Any, proxy_tokens: tuple[bytes, ...] = ()) -> AsyncIterator[str]:
    """The URL of a server with this application, as Serve runs it."""
    listener = socket.create_server(("127.0.0.1", 0))
    wrapped = ServeErrorsAsProblems(app, proxy_tokens)
    server = uvicorn.Server(uvicorn.Config(wrapped, lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
