"""A call that HAProxy sends again is charged once, and only HAProxy can say that it is the same call."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.edge.running import access_of, edge_of, running
from tests.store.stores import Caller, Store

from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.edge.middleware import rewritten
from luna_serving.edge.operation import Operation
from luna_serving.edge.proxy_peer import CALL_HEADER
from luna_serving.telemetry.metrics import DispatchMetrics

TOKEN = "t" * 64
WIRE = Wire(SeriesLimits(max_series_length=100, max_series_per_request=1, max_answer_numbers=100))
CALL = str(uuid.uuid4())


@asynccontextmanager
async def replica(store: Store, caller: Caller) -> AsyncIterator[httpx.AsyncClient]:
    """An ingress replica, and a client that can name itself HAProxy."""
    wired = access_of(store)

    async def compute(jobs: Sequence[Any]) -> list[bytes]:
        return [b"[]" for _ in jobs]

    gate = Gate(wired.charges, compute, GateLimits(10, 1000, 10, 1, 5.0), DispatchMetrics(CollectorRegistry()).of("k"))
    operation = Operation("kalman", gate, WIRE.parse_original, capability="kalman")
    async with (
        edge_of(wired, [operation]) as edge,
        running(edge, (TOKEN.encode(),)) as url,
        httpx.AsyncClient(
            base_url=f"{url}/api/v1/{caller.account_id}", headers={"X-API-Key": caller.key.secret}
        ) as client,
    ):
        yield client


async def charged(store: Store, caller: Caller) -> int:
    for _ in range(2):
        await store.settler.settle()
    used = await store.used(caller.account_id)
    assert await store.left(caller.account_id) == 500 - used
    return used


@pytest.mark.parametrize(
    ("peer", "call_ids", "units"),
    [
        (f"{TOKEN};127.0.0.1", [CALL, CALL], 1),
        (f"{TOKEN};127.0.0.1", [CALL, str(uuid.uuid4())], 2),
        # Past HAProxy, at the replica's own port.
        ("guessed;127.0.0.1", [CALL, CALL], 2),
        ("", [CALL, CALL], 2),
        # A HAProxy of an earlier release, and what is no id.
        (f"{TOKEN};127.0.0.1", ["", "x"], 2),
    ],
)
async def test_attempts_at_a_call_are_charged_once(store: Store, peer: str, call_ids: list[str], units: int) -> None:
    caller = await store.account()
    async with replica(store, caller) as client:
        for call_id in call_ids:
            sent = {"X-Luna-Peer": peer, "X-Luna-Call": call_id}
            assert (await client.post("/kalman", json={"results": [1.0]}, headers=sent)).status_code == 200
    assert await charged(store, caller) == units


def test_the_application_does_not_see_the_id() -> None:
    assert CALL_HEADER not in dict(rewritten([(CALL_HEADER, CALL.encode())]))
