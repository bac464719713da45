"""API keys and tokens that are refused too often: over real HTTP, with real addresses.

On Linux every address of 127.0.0.0/8 is the machine's own, so that one test run can be many callers.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event
from tests.edge.running import access_of, edge_of, refused_of, running
from tests.edge.test_api import assert_problem
from tests.edge.test_recording import Echo
from tests.serving.platform import Platform
from tests.store.stores import Caller, Store
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from luna_serving.access.throttle.redis_buckets import RedisBuckets
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.edge.operation import Operation
from luna_serving.local.servers.valkey import ValkeyServer
from luna_serving.settings import ThrottleSettings
from luna_serving.telemetry.metrics import DispatchMetrics
from luna_store.accounts.api_keys import ApiKey

MOST = ThrottleSettings().key_failures
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")


@asynccontextmanager
async def calling(url: str, source: str, key: str = "") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=source, limits=httpx.Limits(max_connections=8))
    headers = {"X-API-Key": key} if key else {}
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=headers, timeout=60) as client:
        yield client


def stranger() -> dict[str, str]:
    return {"X-API-Key": ApiKey.issue().secret}


async def guess(client: httpx.AsyncClient, path: str, times: int) -> list[int]:
    async def one() -> int:
        return (await client.post(path, json={"results": [1]}, headers=stranger())).status_code

    found: list[int] = []
    while len(found) < times:
        found += await asyncio.gather(*(one() for _ in range(min(20, times - len(found)))))
    return found


def assert_blocked(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (429, "too-many-attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 300


# ---- The whole application, through HAProxy


async def test_after_200_unknown_keys_an_address_gets_429_and_valid_keys_are_served(platform: Platform) -> None:
    caller = await platform.caller()
    path = f"/api/v1/{caller.id}/kalman"
    async with calling(platform.url, "127.0.0.21") as client:
        first = await guess(client, path, MOST)
        assert first.count(401) == MOST
        for _ in range(4):  # on either ingress replica
            assert_blocked(await client.post(path, json={"results": [1]}, headers=stranger()))
        # No header of the caller's changes its address.
        for name in ("X-Forwarded-For", "X-Luna-Peer", "Forwarded", "X-Real-IP"):
            assert_blocked(await client.post(path, json={}, headers=stranger() | {name: "198.51.100.9"}))
        valid = await client.post(path, json={"results": [1]}, headers={"X-API-Key": caller.key.secret})
        assert valid.status_code == 200
        issued = await client.post(
            "/api/v1/auth/token",
            data={"grant_type": "client_credentials", "client_id": str(caller.id), "client_secret": caller.key.secret},
        )
        assert issued.status_code == 200
        bearer = {"Authorization": f"Bearer {issued.json()['access_token']}"}
        assert (await client.get(f"/api/v1/{caller.id}/usage", headers=bearer)).status_code == 200
        # Requests without a credential guess nothing.
        assert_problem(await client.post(path, json={}), 401, "unauthenticated")
        assert (await client.get("/health/ready")).status_code == 200
    async with calling(platform.url, "127.0.0.22") as client:
        assert_problem(await client.post(path, json={"results": [1]}, headers=stranger()), 401, "unauthenticated")


async def test_every_entrance_counts_and_refuses(platform: Platform) -> None:
    caller = await platform.caller()
    base = f"/api/v1/{caller.id}"
    websocket = f"{platform.url.replace('http', 'ws')}{base}/kalman/stream"

    async with calling(platform.url, "127.0.0.23") as client:

        async def by_form() -> httpx.Response:
            form = {
                "grant_type": "client_credentials",
                "client_id": str(caller.id),
                "client_secret": ApiKey.issue().secret,
            }
            return await client.post("/api/v1/auth/token", data=form)

        async def upgrade() -> int:
            with pytest.raises(InvalidStatus) as refused:
                async with connect(websocket, additional_headers=stranger(), local_addr=("127.0.0.23", 0)):
                    pass
            return refused.value.response.status_code

        entrances: list[Callable[[], Any]] = [
            lambda: client.post(f"{base}/kalman", json={"results": [1]}, headers=stranger()),
            lambda: client.post("/api/v1/kalman", json={"results": [1]}, headers=stranger()),
            lambda: client.get(f"{base}/usage", headers=stranger()),
            lambda: client.get("/api/v1/account", headers={"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}),
            lambda: client.get(f"{base}/usage", headers={"X-API-Key": "luna_malformed"}),
            by_form,
        ]
        before = 0
        while before + len(entrances) + 2 <= MOST:
            answers = await asyncio.gather(*(ask() for ask in entrances))
            assert [answer.status_code for answer in answers] == [401] * len(entrances)
            assert await upgrade() == 401
            # A path that is not served tells nobody whether a key is valid, and counts.
            assert (await client.get("/api/v1/nothing/here", headers=stranger())).status_code == 404
            before += len(entrances) + 2
        await guess(client, f"{base}/kalman", MOST + 4 - before)
        for ask in entrances:
            assert_blocked(await ask())
        assert await upgrade() == 429


async def test_requests_without_a_credential_are_not_counted(platform: Platform) -> None:
    async with calling(platform.url, "127.0.0.24") as client:
        answers = await asyncio.gather(*(client.get("/api/v1/account") for _ in range(MOST + 20)))
        assert {answer.status_code for answer in answers} == {401}
        assert_problem(await client.get("/api/v1/account", headers=stranger()), 401, "unauthenticated")


async def test_the_metrics_show_what_was_refused(platform: Platform) -> None:
    caller = await platform.caller()
    async with calling(platform.url, "127.0.0.25") as client:
        await guess(client, f"/api/v1/{caller.id}/kalman", MOST + 5)
        deadline = asyncio.get_running_loop().time() + 30
        while 'luna_throttled_total{kind="key"}' not in (text := (await client.get("/metrics")).text):
            assert asyncio.get_running_loop().time() < deadline, text
            await asyncio.sleep(0.5)
        assert 'luna_attempts_total{kind="key",outcome="begun"}' in text


async def test_every_route_with_credentials_documents_429(platform: Platform) -> None:
    async with calling(platform.url, "127.0.0.1") as client:
        document = (await client.get("/openapi.json")).json()
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        # The list of providers is public, and asks nobody for anything.
        if operation.get("security") or (path.startswith("/api/v1/auth/") and path != "/api/v1/auth/providers")
    ]
    assert len(operations) > 20
    assert [(path, method) for path, method, operation in operations if "429" not in operation["responses"]] == []


# ---- One edge, for what the whole application hides


@asynccontextmanager
async def edge_on(store: Store, caller: Caller, networks: Sequence[str] = ()) -> AsyncIterator[httpx.AsyncClient]:
    """An edge on uvicorn, whose peer 127.0.0.1 is a proxy for those networks."""
    wired = access_of(store)

    async def compute(jobs: Sequence[Any]) -> list[Any]:
        return [b"[]" for _ in jobs]

    metrics = DispatchMetrics(CollectorRegistry()).of("echo")
    gate = Gate(wired.charges, compute, GateLimits(10, 1000, 10, 1, 5.0), metrics)
    operation = Operation("echo", gate, lambda _: Echo(b""), capability="echo")
    refused = refused_of(wired, RedisBuckets(store.redis), networks)
    async with (
        edge_of(wired, [operation], refused=refused) as edge,
        running(edge) as url,
        calling(f"{url}/api/v1/{caller.account_id}", "127.0.0.1") as client,
    ):
        yield client


async def test_an_unknown_key_of_a_blocked_address_costs_postgres_nothing(store: Store) -> None:
    caller = await store.account()
    async with edge_on(store, caller) as client:
        await guess(client, "/echo", MOST + 1)
        queries: list[str] = []
        event.listen(store.engine.sync_engine, "before_cursor_execute", lambda *a: queries.append(a[2]))
        assert set(await guess(client, "/echo", 50)) == {429}
        short = str(client.base_url).replace(f"/{caller.account_id}", "")
        answer = await client.post(f"{short}/echo", json={}, headers=stranger())
        assert_blocked(answer)
        elsewhere = await client.post(f"{short}/999999/echo", json={}, headers=stranger())
        assert_blocked(elsewhere)
        assert queries == []
        assert (await client.post("/echo", json={}, headers={"X-API-Key": caller.key.secret})).status_code == 200


async def test_callers_behind_a_trusted_proxy_are_told_apart(store: Store) -> None:
    caller = await store.account()
    async with edge_on(store, caller, ["127.0.0.1"]) as client:
        client.headers["X-Forwarded-For"] = "1.1.1.1, 198.51.100.1"
        assert 429 in await guess(client, "/echo", MOST + 5)
        client.headers["X-Forwarded-For"] = "198.51.100.1, 198.51.100.2"
        assert set(await guess(client, "/echo", 3)) == {401}
        client.headers["X-Forwarded-For"] = "198.51.100.2, 198.51.100.1"
        assert set(await guess(client, "/echo", 3)) == {429}


async def test_valkey_is_killed_in_the_middle_and_unknown_keys_stay_bounded(
    open_store: Callable[[str], Store], tmp_path: Path
) -> None:
    with ValkeyServer(tmp_path / "data", tmp_path) as server:
        store = open_store(server.url)
        caller = await store.account()
        async with edge_on(store, caller) as client:
            begun = time.monotonic()
            before = await guess(client, "/echo", 100)
            os.kill(server.pid, signal.SIGKILL)
            after = await guess(client, "/echo", 2 * MOST)
            assert set(before) == {401}
            # Some come back meanwhile; a call that was under way may be counted in neither store.
            assert after.count(401) <= MOST + (time.monotonic() - begun) / ThrottleSettings().key_refill_s + 20
            assert after.count(429) == len(after) - after.count(401)
            # Valid keys are served by Postgres.
            assert (await client.post("/echo", json={}, headers={"X-API-Key": caller.key.secret})).status_code == 200
