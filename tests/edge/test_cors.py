"""What browsers may do for pages of other origins: over a real server, with the headers that a browser sends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from tests.edge.running import access_of, as_it_is, edge_of, nobody, refused_of, running
from tests.edge.test_operations import computing
from tests.store.stores import Caller, Store
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from luna_serving.edge.cors import Cors, SocketOrigins
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.middleware import ServeErrorsAsProblems
from luna_serving.edge.sockets import Socket, SocketRoute, Sockets
from luna_serving.settings import read_settings
from luna_serving.settings.cors import CorsSettings
from luna_serving.telemetry.metrics import RequestMetrics

APP, OTHER = "https://app.example", "https://evil.example"
LISTED = CorsSettings(origins=(APP, "http://localhost:3000"))
PLAIN = APIRouter()


@PLAIN.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@asynccontextmanager
async def luna(store: Store, settings: CorsSettings | None) -> AsyncIterator[tuple[httpx.AsyncClient, Caller]]:
    """A client of an edge, behind the list if there is one, and an account of its caller."""
    caller = await store.account()
    wired = access_of(store)
    rest = build_api([], [PLAIN], nobody, as_it_is)
    async with (
        edge_of(wired, computing(store), rest) as edge,
        running(Cors(edge, settings) if settings else edge) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        yield client, caller


def preflight(origin: str, method: str = "POST", headers: str = "content-type,x-api-key") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


async def test_without_a_list_no_answer_names_an_origin(store: Store) -> None:
    async with luna(store, None) as (client, caller):
        asked = await client.options("/api/v1/kalman", headers=preflight(APP))
        called = await client.post("/api/v1/kalman", json={}, headers={"Origin": APP, "X-API-Key": caller.key.secret})
    assert called.status_code == 200
    assert asked.status_code in {401, 405}
    assert [name for answer in (asked, called) for name in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("path", ["/api/v1/kalman", "/api/v1/1/indicators/rsi", "/health", "/nothing/here"])
async def test_a_preflight_of_a_listed_origin_is_answered_without_a_key(store: Store, path: str) -> None:
    async with luna(store, LISTED) as (client, _):
        answer = await client.options(path, headers=preflight(APP))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == APP
    assert {"POST", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert {"X-API-Key", "Authorization"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert answer.headers["access-control-max-age"] == "600"
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (preflight(OTHER), "origin"),
        (preflight("null"), "origin"),
        (preflight(f"{APP}.evil.example"), "origin"),
        (preflight("https://evil.app.example"), "origin"),
        (preflight("http://app.example"), "origin"),
        (preflight(f"{APP}:8443"), "origin"),
        (preflight(APP, method="TRACE"), "method"),
        (preflight(APP, headers="x-forwarded-for"), "headers"),
    ],
)
async def test_a_preflight_that_the_list_does_not_admit_is_a_problem(
    store: Store, asked: dict[str, str], what: str
) -> None:
    async with luna(store, LISTED) as (client, _):
        answer = await client.options("/api/v1/kalman", headers=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert what in answer.json()["detail"]
    assert answer.json()["type"].endswith("/cross-origin")
    assert ("access-control-allow-origin" in answer.headers) == (what != "origin")


async def test_pages_of_listed_origins_read_answers_refusals_and_limits(store: Store) -> None:
    async with luna(store, LISTED) as (client, caller):
        key = {"X-API-Key": caller.key.secret}
        answers = [
            await client.post("/api/v1/kalman", json={}, headers={"Origin": APP, **key}),
            await client.post("/api/v1/kalman", json={}, headers={"Origin": APP}),
            await client.post("/api/v1/kalman", content=b"{", headers={"Origin": APP, **key}),
            await client.get("/health", headers={"Origin": APP}),
            await client.get("/nothing", headers={"Origin": APP}),
        ]
    assert [answer.status_code for answer in answers] == [200, 401, 500, 200, 404]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == APP
        assert "Origin" in answer.headers["vary"]
        assert {"RateLimit", "Retry-After", "ETag", "X-Request-ID"} <= set(
            answer.headers["access-control-expose-headers"].split(", ")
        )
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_of_another_origin_can_read_nothing(store: Store) -> None:
    async with luna(store, LISTED) as (client, caller):
        key = {"X-API-Key": caller.key.secret}
        for origin in (OTHER, "null", f"{APP}.evil.example", APP.upper()):
            answer = await client.post("/api/v1/kalman", json={}, headers={"Origin": origin, **key})
            assert "access-control-allow-origin" not in answer.headers, origin
            assert "Origin" in answer.headers["vary"]
        unasked = await client.post("/api/v1/kalman", json={}, headers=key)
    assert "access-control-allow-origin" not in unasked.headers
    assert "Origin" in unasked.headers["vary"], "a cache must not give this answer to a page"


async def test_every_origin_means_a_star_and_never_credentials(store: Store) -> None:
    async with luna(store, CorsSettings(origins=("*",))) as (client, caller):
        asked = await client.options("/api/v1/kalman", headers=preflight(OTHER))
        called = await client.post("/api/v1/kalman", json={}, headers={"Origin": OTHER, "X-API-Key": caller.key.secret})
    for answer in (asked, called):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_credentials_are_allowed_to_listed_origins_alone(store: Store) -> None:
    settings = CorsSettings(origins=(APP,), credentials=True)
    async with luna(store, settings) as (client, _):
        listed = await client.get("/health", headers={"Origin": APP})
        other = await client.get("/health", headers={"Origin": OTHER})
    assert listed.headers["access-control-allow-credentials"] == "true"
    assert listed.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"origins": "*", "credentials": True}, "list the origins"),
        ({"origins": "*,https://app.example"}, "leave the others out"),
        ({"origins": "https://app.example/"}, "without a path"),
        ({"origins": "https://App.example"}, "lower case"),
        ({"origins": "https://app.example:443"}, "port that is not the scheme's own"),
        ({"origins": "app.example"}, "write scheme"),
        ({"origins": "null"}, "is not an origin"),
        ({"origins": "https://*.example"}, "is not an origin"),
        ({"origins": "https://a.example\r\nX: y"}, "is not an origin"),
    ],
)
def test_a_list_that_no_browser_would_match_or_that_is_not_safe_stops_the_start(
    settings: dict[str, Any], cure: str
) -> None:
    with pytest.raises(ValidationError, match=cure):
        CorsSettings.model_validate(settings)


def test_the_list_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_CORS_ORIGINS", " https://app.example, http://[::1]:8080,")
    assert read_settings({}).platform.cors.origins == (APP, "http://[::1]:8080")


@pytest.mark.parametrize(("origin", "allowed"), [(APP, APP), (OTHER, None), (None, None)])
async def test_an_error_of_serve_itself_can_be_read_by_a_listed_page(origin: str | None, allowed: str | None) -> None:
    async def overloaded(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"Request dropped"})

    async with running(ServeErrorsAsProblems(overloaded, cors=LISTED)) as url, httpx.AsyncClient() as client:
        answer = await client.get(url, headers={"Origin": origin} if origin else {})
    assert answer.json()["type"].endswith("/overloaded")
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert answer.headers["vary"] == "Origin"


async def echo(socket: Socket) -> None:
    await socket.send(str(await socket.receive(5)))


@pytest.mark.parametrize(
    ("listed", "origin", "status"),
    [
        ((), None, 101),
        ((), "http://{host}", 101),
        ((), "https://{host}", 101),
        ((), APP, 403),
        ((), "null", 403),
        ((APP,), APP, 101),
        ((APP,), "http://{host}", 101),
        ((APP,), OTHER, 403),
        ((APP,), f"{APP}.evil.example", 403),
        (("*",), OTHER, 101),
    ],
)
async def test_a_browser_opens_websockets_for_its_own_and_listed_pages_alone(
    store: Store, listed: tuple[str, ...], origin: str | None, status: int
) -> None:
    caller = await store.account()
    wired = access_of(store)
    sockets = Sockets(
        [SocketRoute("echo", echo)],
        wired.authorization,
        RequestMetrics(CollectorRegistry()),
        refused_of(wired),
        max_connections=10,
        origins=SocketOrigins(listed),
    )
    async with running(sockets) as url:
        host = url.removeprefix("http://")
        headers = {"X-API-Key": caller.key.secret} | ({"Origin": origin.format(host=host)} if origin else {})
        opening = connect(f"ws://{host}/api/v1/echo", additional_headers=headers)
        if status == 101:
            async with opening as client:
                await client.send("hello")
                assert await client.recv() == "hello"
            return
        with pytest.raises(InvalidStatus) as refused:
            async with opening:
                pass
    answer = refused.value.response
    assert answer.status_code == status
    assert json.loads(answer.body)["type"].endswith("/cross-origin")
    assert answer.headers["x-content-type-options"] == "nosniff"
