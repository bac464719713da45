"""WebSockets on a server that a test can stop."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from tests.capabilities.kalman.streams.replica import LEVEL, Replica
from tests.store.stores import Caller, Store
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from luna_serving.access.request_log.rows import Fact
from luna_serving.edge.middleware import ServeErrorsAsProblems
from luna_serving.edge.recording import Recorder
from luna_serving.edge.sockets import SocketRoute, Sockets
from luna_serving.telemetry.metrics import RequestMetrics


@asynccontextmanager
async def served(replica: Replica, **limits: Any) -> AsyncIterator[tuple[uvicorn.Server, str]]:
    """The sockets of a replica, as Serve runs them."""
    sockets = Sockets(
        [SocketRoute("kalman/stream", replica.desk.serve)],
        replica.desk.authorization,
        RequestMetrics(CollectorRegistry()),
        replica.refused,
        **({"max_connections": 10} | limits),
    )
    # Listens from now on: a client that is quicker than the server waits.
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(ServeErrorsAsProblems(sockets), lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield server, f"ws://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    finally:
        server.should_exit = True
        await task


def connection(url: str, caller: Caller) -> connect:
    return connect(f"{url}/{caller.account_id}/kalman/stream", additional_headers={"X-API-Key": caller.key.secret})


async def ask(connection: ClientConnection, **words: Any) -> Any:
    await connection.send(json.dumps(words))
    return json.loads(await connection.recv())


async def test_a_server_that_stops_says_so_and_lets_its_streams_go(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    async with served(replica) as (server, url), connection(url, caller) as client:
        opened = await ask(client, type="open", model=LEVEL)
        assert (await ask(client, type="points", sequence=1, values=[1.0]))["points"] == [1]
        assert await store.scalar("SELECT held FROM kalman_streams WHERE id = :id", id=opened["stream"])
        server.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert not await store.scalar("SELECT held FROM kalman_streams WHERE id = :id", id=opened["stream"])


async def test_one_connection_too_many_is_refused_before_the_upgrade(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    async with served(replica, max_connections=1) as (_, url):
        async with connection(url, caller):
            with pytest.raises(InvalidStatus) as refused:
                async with connection(url, caller):
                    pass
            response = refused.value.response
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert json.loads(response.body)["type"].endswith("overloaded")
            assert response.headers["ratelimit"].startswith('"quota";r=500')
        for _ in range(50):
            try:
                async with connection(url, caller) as again:
                    assert (await ask(again, type="open", model=LEVEL))["type"] == "opened"
                break
            except InvalidStatus:  # the first has not quite gone
                await asyncio.sleep(0.02)
        else:
            raise AssertionError("the place of the first stays taken")


async def test_a_connection_is_a_row_of_the_request_log_when_it_is_over_and_a_refusal_at_once(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    facts: list[Fact] = []
    recorder = Recorder(RequestMetrics(CollectorRegistry()), rows=facts.append)
    async with served(replica, max_connections=1, ended=recorder.socket_ended) as (_, url):
        async with connection(url, caller) as client:
            opened = await ask(client, type="open", model=LEVEL)
            assert facts == []
            with pytest.raises(InvalidStatus):
                async with connection(url, caller):
                    pass
            for path in ("kalman/stream", "nowhere"):
                with pytest.raises(InvalidStatus):
                    async with connect(f"{url}/{caller.account_id}/{path}"):
                        pass
        async with asyncio.timeout(20):
            while len(facts) < 4:  # noqa: ASYNC110  it comes when the server notices
                await asyncio.sleep(0.02)
    shown = [(credential and credential.key_prefix, *rest) for _, _, credential, *rest in facts]
    key, address = caller.key.prefix, "127.0.0.1"
    assert [(who, method, route, status, where) for who, method, route, status, _, _, where in shown] == [
        (key, "GET", "kalman/stream", 503, address),
        (None, "GET", "kalman/stream", 401, address),
        (None, "GET", "unknown", 404, address),
        (key, "GET", "kalman/stream", 101, address),
    ]
    assert facts[3][6] >= len(json.dumps(opened, separators=(",", ":")))


async def test_an_account_id_out_of_range_and_another_path_are_not_found(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    async with served(replica) as (_, url):
        for path in ("9999999999/kalman/stream", f"{caller.account_id}/kalman/filter", "stream"):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"{url}/{path}", additional_headers={"X-API-Key": caller.key.secret}):
                    pass
            assert refused.value.response.status_code == 404, path


async def test_a_server_that_cannot_answer_an_upgrade_closes_it(store: Store) -> None:
    replica = Replica(store)
    sockets = Sockets(
        [SocketRoute("kalman/stream", replica.desk.serve)],
        replica.desk.authorization,
        RequestMetrics(CollectorRegistry()),
        replica.refused,
        max_connections=1,
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/api/v1/1/kalman/stream", "headers": [], "subprotocols": []}
    await sockets(scope, receive, send)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]
