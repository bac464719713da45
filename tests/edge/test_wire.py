"""What a caller meets before any model: limits, encodings and texts, over sockets and through HAProxy."""

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pytest
from tests.edge.test_api import JSON, assert_limits, assert_problem
from tests.serving.platform import Caller, Platform

MAX_BODY_BYTES = 10 * 1024 * 1024
CALL = b'{"results":[1,2,3]}'


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
        yield connection


def head_of(caller: Caller, *headers: bytes, length: int = len(CALL), key: bytes = b"") -> bytes:
    lines = (
        b"POST /api/v1/%d/kalman HTTP/1.1" % caller.id,
        b"Host: luna",
        b"X-API-Key: " + (key or caller.key.secret.encode()),
        b"Content-Type: application/json",
        b"Content-Length: %d" % length,
        *headers,
    )
    return b"\r\n".join((*lines, b"", b""))


def answer_to(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    answer = HTTPResponse(connection)
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, headers, json.loads(answer.read())


@pytest.mark.parametrize(
    ("headers", "key", "status", "slug"),
    [
        ([b"X-%d: a" % i for i in range(97)], b"", 431, "headers-too-large"),
        ([b"X-%d: a" % i for i in range(1000)], b"", 431, "headers-too-large"),
        ([b"X: " + b"a" * 16 * 1024], b"", 431, "headers-too-large"),
        ([b"X: " + b"a" * 60_000], b"", 431, "headers-too-large"),
        ([], b"luna_\x01", 400, "bad-request"),
        ([], b"luna_\x7f", 400, "bad-request"),
        ([], b"luna_\0", 400, "bad-request"),
        ([b"garbage"], b"", 400, "bad-request"),
    ],
)
async def test_a_head_that_cannot_be_taken_is_answered_by_a_problem(
    platform: Platform, headers: list[bytes], key: bytes, status: int, slug: str
) -> None:
    caller = await platform.caller()
    with connected(platform.url) as connection:
        connection.sendall(head_of(caller, *headers, key=key) + CALL)
        answered, found, problem = answer_to(connection)
    assert (answered, problem["status"]) == (status, status)
    assert problem["type"] == f"https://luna.dev/problems/{slug}"
    assert problem["title"]
    assert problem["detail"]
    assert found["content-type"] == "application/problem+json"
    # HAProxy's compiled answers have no room for an id.
    assert "x-request-id" in found or key == b"luna_\0" or headers == [b"garbage"]


async def test_100_headers_of_15_kb_are_taken(platform: Platform) -> None:
    caller = await platform.caller()
    with connected(platform.url) as connection:
        connection.sendall(head_of(caller, *(b"X-%d: %s" % (i, b"a" * 150) for i in range(95)), b"X: a") + CALL)
        assert answer_to(connection)[0] == 200


async def test_a_path_beyond_16_kb_is_414(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        assert_problem(await client.get(f"/{'a' * 17_000}"), 414, "uri-too-long")


async def test_a_declared_body_beyond_the_limit_is_refused_before_100_continue(platform: Platform) -> None:
    caller = await platform.caller()
    with connected(platform.url) as connection:
        connection.sendall(head_of(caller, b"Expect: 100-continue", length=MAX_BODY_BYTES + 1))
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in received
        assert b"ratelimit:" in received.lower()


async def test_100_continue_is_sent_for_a_body_that_is_taken(platform: Platform) -> None:
    caller = await platform.caller()
    with connected(platform.url) as connection:
        connection.sendall(head_of(caller, b"Expect: 100-continue"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(CALL)
        assert answer_to(connection)[0] == 200


@pytest.mark.parametrize("megabytes", [11, 80])
async def test_a_caller_who_sends_a_too_large_body_to_its_end_gets_the_answer(
    platform: Platform, megabytes: int
) -> None:
    caller = await platform.caller()
    body = b'{"results":[' + b" " * megabytes * 1024 * 1024 + b"1]}"
    async with caller.client() as client:
        for _ in range(3):
            assert_problem(await client.post("/kalman", content=body, headers=JSON), 413, "too-large")
        assert (await client.post("/kalman", content=CALL, headers=JSON)).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/health", "/health/ready"])
async def test_head_answers_as_get_without_the_body(platform: Platform, path: str) -> None:
    async with httpx.AsyncClient(base_url=platform.url) as client:
        got, head = await client.get(path), await client.head(path)
        # The connection goes on: nothing of a body came.
        assert (await client.get("/health")).json() == {"status": "ok"}
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # whose numbers move
        assert head.headers["content-length"] == got.headers["content-length"]


async def test_head_of_an_account_needs_a_key_as_get_does(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        head = await client.head(caller.url)
        assert (head.status_code, head.content) == (200, b"")
        assert_limits(head)
        posted = await client.head("/kalman")
        assert (posted.status_code, posted.headers["allow"]) == (405, "POST")
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.head(caller.url)).status_code == 401


async def test_a_lifetime_quota_that_is_used_up_names_no_window(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=1)
    async with caller.client() as client:
        assert (await client.post("/kalman", content=CALL, headers=JSON)).status_code == 200
        denied = await client.post("/kalman", content=CALL, headers=JSON)
    problem = assert_problem(denied, 429, "quota-exhausted")
    assert problem["permanent"] is True
    assert "not renewed" in problem["detail"]
    assert "window" not in problem["detail"]
    assert denied.headers["retry-after"] == "3600"


async def test_a_day_s_quota_says_when_it_is_renewed_and_what_can_never_pass(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=5, quota_window="Day")
    model = {"kind": "local_level", "obs_var": 1, "level_var": 1}
    async with caller.client() as client:

        async def filtered(series: int) -> httpx.Response:
            return await client.post("/kalman/filter", json={"model": model, "observations": [[1.0]] * series})

        assert (await filtered(3)).status_code == 200
        later, never = await filtered(3), await filtered(6)
    now = datetime.now(UTC)
    left_s = 86_400 - (now.hour * 60 + now.minute) * 60 - now.second
    problem = assert_problem(later, 429, "quota-exhausted")
    assert (problem["permanent"], problem["remaining"], problem["limit"]) == (False, 2, 5)
    assert abs(int(later.headers["retry-after"]) - left_s) < 10
    assert f"renewed in {later.headers['retry-after']} s" in problem["detail"]
    problem = assert_problem(never, 429, "quota-exhausted")
    assert problem["permanent"] is True
    assert "can never be covered" in problem["detail"]
    assert int(never.headers["retry-after"]) == 3600


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_packed_body_is_answered_as_the_plain_one(platform: Platform, coding: str) -> None:
    caller = await platform.caller()
    packed = gzip.compress(CALL) if coding == "gzip" else pa.compress(CALL, codec="zstd", asbytes=True)
    headers = JSON | {"Content-Encoding": coding}
    async with caller.client() as client:
        plain = await client.post("/kalman", content=CALL, headers=JSON)
        answer = await client.post("/kalman", content=packed, headers=headers)
        assert (answer.status_code, answer.content) == (200, plain.content)
        stored = await client.put(
            "/models/m",
            content=gzip.compress(b'{"kind":"local_level","obs_var":1,"level_var":1}'),
            headers=JSON | {"Content-Encoding": "gzip"},
        )
        assert stored.status_code == 201
        bomb = b'{"results":[' + b" " * 200_000_000 + b"1]}"
        packed = gzip.compress(bomb, 1) if coding == "gzip" else pa.compress(bomb, codec="zstd", asbytes=True)
        assert_problem(await client.post("/kalman", content=packed, headers=headers), 413, "too-large")
        unpackable = await client.post("/kalman", content=CALL, headers=headers)
        assert coding in assert_problem(unpackable, 415, "unsupported-media-type")["detail"]
        brotli = await client.post("/kalman", content=CALL, headers=JSON | {"Content-Encoding": "br"})
        assert_problem(brotli, 415, "unsupported-media-type")
        assert brotli.headers["accept-encoding"] == "gzip, zstd"
    assert platform.used(caller.id) == 2


async def test_a_packed_body_of_a_stranger_is_not_unpacked(platform: Platform) -> None:
    caller = await platform.caller()
    headers = JSON | {"Content-Encoding": "gzip", "X-API-Key": "luna_" + "a" * 40}
    async with caller.client() as client:
        # Not gzip; the body was not decompressed.
        assert_problem(await client.post("/kalman", content=CALL, headers=headers), 401, "unauthenticated")


async def test_undeclared_gzip_and_utf_16_are_named(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        for body, name in ((gzip.compress(CALL), "gzip"), (CALL.decode().encode("utf-16"), "UTF-16")):
            answer = await client.post("/kalman", content=body, headers=JSON)
            [error] = assert_problem(answer, 422, "invalid")["errors"]
            assert error["pointer"] == ""
            assert name in error["detail"]
            assert "surrogates" not in error["detail"]


@pytest.mark.parametrize(
    ("path", "unknown", "takes"),
    [
        ("/usage?format=csv", "/query/format", "step, since, until"),
        ("/usage?step=day&Since=2026-01-01", "/query/Since", "step, since, until"),
        ("?verbose=1", "/query/verbose", "takes none"),
        ("/models?page=2", "/query/page", "limit, after"),
        ("/models/m?a~/b=2", "/query/a~0~1b", "version"),
    ],
)
async def test_an_unknown_query_parameter_is_named(platform: Platform, path: str, unknown: str, takes: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.get(caller.url + path)
        [error] = assert_problem(answer, 422, "invalid")["errors"]
        assert error["pointer"] == unknown
        assert takes in error["detail"]
        assert_limits(answer)
        assert (await client.get("/usage?step=hour")).status_code == 200
