"""An edge with a request log on real stores: one operation that computes, and the routes of the account."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import httpx
from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from tests.edge.running import access_of, as_it_is, edge_of, nobody, running
from tests.store.stores import Caller, Store

from luna_serving.access.request_log.log import RequestLog
from luna_serving.access.request_log.metrics import RequestLogMetrics
from luna_serving.access.request_log.rows import Rows
from luna_serving.access.request_log.wiring import PROBES
from luna_serving.capabilities.account.requests.routes import router
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.dispatch.outcomes import Failed
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.operation import Operation
from luna_serving.edge.recording import Address, Recorder, peer
from luna_serving.settings.records import RequestsSettings
from luna_serving.telemetry.metrics import DispatchMetrics, RequestMetrics
from luna_serving.wire.problems import FieldError, invalid
from luna_store.requests.writing import write


class Work:
    """One unit, whatever is sent."""

    units, points, grant = 1, 1, None
    amounts: ClassVar[dict[str, int]] = {}

    def __init__(self, body: bytes) -> None:
        self.job = json.loads(body)
        if self.job == "wrong":
            raise invalid(FieldError("", "Is wrong."))

    def limit_error(self, limit: str, most: int) -> Any:
        raise AssertionError

    def finish(self, result: bytes) -> bytes:
        return result


@dataclass
class Logged:
    """A running edge with its log."""

    url: str
    store: Store
    log: RequestLog
    registry: CollectorRegistry

    def client(self, caller: Caller | None = None, **headers: str) -> httpx.AsyncClient:
        key = {"X-API-Key": caller.key.secret} if caller else {}
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        return httpx.AsyncClient(base_url=self.url, headers=key | headers, timeout=30, limits=limits)

    async def flushed(self) -> None:
        """Everything that was answered is in Postgres."""
        await self.log.flush()

    async def rows(self, where: str = "true") -> list[Any]:
        await self.flushed()
        async with self.store.engine.connect() as connection:
            return list(await connection.execute(text(f"SELECT * FROM request_log WHERE {where} ORDER BY at, id")))

    def value(self, metric: str) -> float:
        found = self.registry.get_sample_value(metric)
        assert found is not None
        return found


@asynccontextmanager
async def logged(
    store: Store,
    *,
    address: Address = peer,
    write_with: Callable[[bytes], Any] | None = None,
    routers: Sequence[APIRouter] = (),
    **settings: Any,
) -> AsyncIterator[Logged]:
    """Serve `POST /api/v1/echo`, `GET /api/v1/requests` and /health."""
    registry = CollectorRegistry()
    wired = access_of(store)
    log = RequestLog(
        write_with or partial(write, store.engine),
        Rows(wired.authorization.owner_of, PROBES),
        RequestLogMetrics(registry),
        RequestsSettings(**({"flush_s": 0.05} | settings)),
    )
    health = APIRouter()

    @health.get("/health/ready")
    async def ready() -> str:
        return "ok"

    async def compute(jobs: Sequence[Any]) -> list[Any]:
        if "slow" in jobs:
            await asyncio.sleep(0.5)
        return [Failed() if job == "fail" else json.dumps(job).encode() for job in jobs]

    gate = Gate(wired.charges, compute, GateLimits(100, 1000, 1000, 2, 5.0), DispatchMetrics(registry).of("echo"))
    operations = [Operation("echo", gate, Work, capability="echo")]
    api = build_api(operations, [router(wired.authorization, store.engine), health, *routers], nobody, as_it_is)
    recorder = Recorder(RequestMetrics(registry), rows=log.append, address=address)
    log.start()
    try:
        async with edge_of(wired, operations, api, recorder=recorder) as edge, running(edge) as url:
            yield Logged(url, store, log, registry)
    finally:
        await log.close()
        await wired.charges.settle_refunds()
