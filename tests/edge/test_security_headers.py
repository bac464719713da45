"""Every answer says how browsers and caches may use it (OWASP, REST Security Cheat Sheet)."""

import base64
import hashlib
import re
import timeit
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn.config
from fastapi import APIRouter, Response
from tests.edge.running import access_of, as_it_is, edge_of, nobody, running
from tests.edge.test_operations import computing
from tests.store.stores import Store

from luna_serving.edge import http_protocol
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.operation import Answer, Asked, Exchange
from luna_serving.edge.security_headers import OF_DATA, StrictTransport, page_policy, secured

JSON = (b"content-type", b"application/json")
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
DATA = "default-src 'none'; frame-ancestors 'none'"


@pytest.fixture
async def answers(store: Store) -> AsyncIterator[dict[str, httpx.Response]]:
    """An answer of each kind that an ingress replica gives."""
    caller = await store.account()
    wired = access_of(store)
    plain = APIRouter()

    @plain.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @plain.get("/model")
    async def model(response: Response) -> str:
        response.headers["ETag"] = '"1"'
        return "a model"

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def own(asked: Asked) -> Answer:
        return Answer(pieces(), 200, [JSON, (b"cache-control", b"private, max-age=60")])

    operations = [*computing(store), Exchange("GET", "prices", own, capability="market")]
    async with (
        edge_of(wired, operations, build_api([], [plain], nobody, as_it_is)) as edge,
        running(edge) as url,
        httpx.AsyncClient(base_url=url, headers={"X-API-Key": caller.key.secret}) as client,
    ):
        yield {
            "call": await client.post("/api/v1/kalman", json={}),
            "pieces": await client.get("/api/v1/prices"),
            "stranger": await client.post("/api/v1/kalman", json={}, headers={"X-API-Key": "luna_x"}),
            "fault": await client.post("/api/v1/kalman", content=b"{"),
            "nothing": await client.get("/nothing"),
            "health": await client.get("/health"),
            "etag": await client.get("/model"),
            "head": await client.head("/health"),
            "document": await client.get("/openapi.json"),
            "docs": await client.get("/docs"),
            "redoc": await client.get("/redoc"),
            "redirect": await client.get("/docs/oauth2-redirect"),
            "script": await client.get("/static-offline-docs/swagger-ui-bundle.js"),
        }


async def test_every_answer_has_the_headers_of_all_answers_once(answers: dict[str, httpx.Response]) -> None:
    for kind, answer in answers.items():
        for name, value in EVERYWHERE.items():
            assert answer.headers.get_list(name) == [value], kind
        for name in ("content-security-policy", "cache-control"):
            assert len(answer.headers.get_list(name)) == 1, (kind, name)
        assert "strict-transport-security" not in answer.headers, kind


async def test_data_is_nothing_that_a_browser_runs_or_a_cache_keeps(answers: dict[str, httpx.Response]) -> None:
    for kind in ("call", "stranger", "fault", "nothing", "health", "head", "document"):
        assert answers[kind].headers["content-security-policy"] == DATA, kind
        assert answers[kind].headers["cache-control"] == "no-store", kind
    assert answers["pieces"].headers["content-security-policy"] == DATA


async def test_a_route_may_say_itself_how_long_its_answer_is_kept(answers: dict[str, httpx.Response]) -> None:
    assert answers["pieces"].headers["cache-control"] == "private, max-age=60"
    assert answers["etag"].headers["cache-control"] == "private, no-cache"
    assert answers["script"].headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("page", ["docs", "redoc", "redirect"])
async def test_a_documentation_page_runs_its_own_scripts_and_no_others(
    answers: dict[str, httpx.Response], page: str
) -> None:
    answer = answers[page]
    (policy,) = answer.headers.get_list("content-security-policy")
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert scripts is not None
    inline = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in inline}
    assert set(scripts[1].split()) == {"'self'", *hashes}
    assert "default-src 'none'" in policy
    assert "http" not in policy, "it works without the internet"


async def test_strict_transport_is_sent_where_it_is_set() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"{}"})

    async with running(StrictTransport(app, 31536000)) as url, httpx.AsyncClient() as client:
        assert (await client.get(url)).headers["strict-transport-security"] == "max-age=31536000"


async def test_no_answer_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"{}"})

    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", uvicorn.config.HTTP_PROTOCOLS["auto"])
    http_protocol.install()
    async with running(app) as url:
        for _ in range(2):
            async with httpx.AsyncClient() as client:
                first, second = await client.get(url), await client.get(url)
                assert "server" not in first.headers
                assert "server" not in second.headers
                broken = await client.get(url, headers={"X-A": "a\x01b"})
                assert broken.status_code == 400
                assert "server" not in broken.headers
                assert broken.headers["x-content-type-options"] == "nosniff"


def test_a_page_without_scripts_allows_files_alone() -> None:
    assert b"script-src 'self';" in page_policy(b"<p>hello</p>")


def test_the_headers_of_a_call_take_less_than_a_microsecond() -> None:
    headers = [JSON, (b"ratelimit-policy", b"x" * 40), (b"ratelimit", b"x" * 40), (b"content-length", b"100")]
    assert secured(headers) == [*headers, *OF_DATA]
    # The quickest of many rounds: what else the machine does is not the function's.
    seconds = min(timeit.repeat(lambda: secured(headers), number=1000, repeat=50)) / 1000
    assert seconds < 1e-6 * 3, "3 µs at most on a slow machine; 0.7 µs where it was measured"
