"""Live updates as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.live.memory import MemoryAlerts, MemoryShard
from tests.live.served import Served, publishing, served
from tests.store.stores import Caller, Store


@pytest.fixture
async def caller(store: Store) -> Caller:
    return await store.account()


@pytest.fixture
async def luna(store: Store) -> AsyncIterator[Served]:
    async with (
        publishing(store.redis) as publisher,
        served(store, MemoryShard(publisher), MemoryAlerts(store.redis), most_connections=2) as running,
    ):
        yield running


@asynccontextmanager
async def client_of(luna: Served, caller: Caller) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-API-Key": caller.key.secret}
    async with httpx.AsyncClient(base_url=f"{luna.url}/{caller.account_id}", headers=headers, timeout=30) as client:
        yield client


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Id, kind and data of each event."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


async def test_events_carry_the_messages_of_the_socket_with_their_place_as_id(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    luna.shard.write(own, ("cpu", {"host": "a"}, 1, 1.0), ("mem", {}, 1, 2.0))
    async with client_of(luna, caller) as client:
        query = [("selector", "cpu"), ("selector", "mem"), ("rate", "10")]
        async with client.stream("GET", "/metrics/live", params=query) as answer, asyncio.timeout(15):
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["ratelimit"]
            stream = events(answer)
            assert await anext(stream) == (
                "e1:0",
                "subscribed",
                {"type": "subscribed", "epoch": "e1", "seq": 0, "resumed": False},
            )
            place, kind, first = await anext(stream)
            assert (place, kind) == ("e1:1", "update")
            assert {each["name"] for each in first["series"]} == {"cpu", "mem"}
            await asyncio.sleep(0.2)
            await luna.alerts.fire(own)
            place, kind, alert = await anext(stream)
            assert (place, kind, alert["alert"]["number"]) == (f"e1:{1 << 20}", "alert", 1)
            assert luna.metric("luna_live_connections", transport="sse") == 1
        await asyncio.sleep(0.3)
        assert luna.service.hub.of_account(own) == 0, "a caller that hangs up is forgotten"


async def test_last_event_id_resumes_by_header_and_by_parameter(luna: Served, caller: Caller) -> None:
    own = caller.account_id
    for _ in range(3):
        await luna.alerts.fire(own)
    async with client_of(luna, caller) as client:
        for options in (
            {"headers": {"Last-Event-ID": f"e1:{1 << 20}"}},
            {"params": {"last_event_id": f"e1:{1 << 20}"}},
        ):
            async with client.stream("GET", "/metrics/live", **options) as answer, asyncio.timeout(10):
                stream = events(answer)
                assert (await anext(stream))[2]["resumed"] is True
                assert [(await anext(stream))[2]["alert"]["number"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("selector=cpu%7B", "/query/selector/0"),
        ("selector=cpu&selector=cpu%5B5m%5D", "/query/selector/1"),
        ("alerts=false", "/query/selector"),
        ("selector=cpu&rate=100", "/query/rate"),
        ("selector=cpu&last_event_id=7", "/query/last_event_id"),
        ("selectors=cpu", "/query/selectors"),
    ],
)
async def test_a_wrong_parameter_is_named(luna: Served, caller: Caller, query: str, pointer: str) -> None:
    async with client_of(luna, caller) as client:
        answer = await client.get(f"/metrics/live?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert luna.service.hub.of_account(caller.account_id) == 0


async def test_head_is_answered_and_leaves_nothing(luna: Served, caller: Caller) -> None:
    async with client_of(luna, caller) as client:
        answer = await client.head("/metrics/live?selector=cpu")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert luna.service.hub.of_account(caller.account_id) == 0


async def test_streams_and_sockets_count_together(luna: Served, caller: Caller) -> None:
    async with client_of(luna, caller) as client, luna.connect(caller), luna.connect(caller):
        answer = await client.get("/metrics/live?selector=cpu")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
