"""A call whose replica dies before it answers is sent to another one, with the same id, if its route keeps no state."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import fields
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import ValidationError
from tests.local.serve_haproxy import NEEDS_HAPROXY, serve_configuration

from luna_serving.app import CAPABILITIES
from luna_serving.capabilities.contract import Platform
from luna_serving.dispatch.gate import GateLimits
from luna_serving.edge.operation import Exchange, Hot, Operation, check_retried
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.haproxy_answers import with_problems
from luna_serving.local.loopback.haproxy_retries import (
    EXCEPT,
    ROUTE,
    ROUTES,
    VARIABLE,
    added,
    conditions,
    with_retries,
)
from luna_serving.local.loopback.ray_environment import haproxy_binary, install_haproxy
from luna_serving.settings import PlatformSettings, edge

CALL = "/api/v1/7/kalman"
# What fits into HAProxy's buffer beside the head.
FITS, TOO_LARGE = 60_000, 70_000


@cache
def operations() -> list[Hot]:
    """All of Luna's operations."""
    given: dict[str, Any] = {each.name: MagicMock() for each in fields(Platform)}
    given |= {"gate_limits": GateLimits(1, 1, 1, 1, 1.0), "settings": PlatformSettings()}
    platform = Platform(**given)
    return [each for c in CAPABILITIES for each in c.serve(platform, c.settings()).operations]


def is_retried(method: str, path: str) -> bool:
    """What HAProxy decides of a path below an account's."""
    return any(
        method in methods.split() and re.search(pattern.strip("'"), f"/api/v1/{account}{path}")
        for methods, pattern in conditions(ROUTES, EXCEPT)
        for account in ("", "12/")
    )


def test_the_routes_are_those_of_the_kinds_that_keep_no_state() -> None:
    found = operations()
    without_state = [each for each in found if not isinstance(each, Exchange)]
    assert len(without_state) < len(found)
    assert sorted(ROUTES) == sorted(f"{each.method} {each.path}" for each in without_state)


def test_no_route_of_another_kind_is_retried_at_whatever_path() -> None:
    for each in operations():
        path = each.path.replace("{name}", "a")
        assert is_retried(each.method, path) == (not isinstance(each, Exchange)), each.path
        if isinstance(each, Exchange):
            # The edge decodes a path before it looks for its route.
            assert not is_retried(each.method, path.replace("c", "%63"))
    for method, path in (("GET", "kalman"), ("PUT", "kalman"), ("POST", "kalman/"), ("POST", "a/kalman"), ("GET", "")):
        assert not is_retried(method, path)
    assert is_retried("HEAD", "indicators/rsi")


def test_routes_of_other_capabilities_can_be_added() -> None:
    given = {VARIABLE: "POST mean, GET means/{name},POST x' y, PUT a,POST a}"}
    assert added(given) == ("POST mean", "GET means/{name}")
    assert added({}) == ()
    assert re.compile(edge.ROUTE.pattern) == ROUTE


def test_a_route_that_keeps_state_cannot_be_added() -> None:
    kept = Exchange("POST", "kept", serve=MagicMock(), capability="own")
    retried = Operation("mean", MagicMock(), MagicMock(), capability="own")
    check_retried(("POST mean", "POST elsewhere"), [kept, retried])
    with pytest.raises(ValueError, match="POST kept"):
        check_retried(("POST mean", "POST kept"), [kept, retried])
    with pytest.raises(ValidationError, match="no route"):
        edge.EdgeSettings(retried_routes=("mean",))


@NEEDS_HAPROXY
def test_what_somebody_has_chosen_for_serve_stays(tmp_path: Path) -> None:
    text = with_problems(serve_configuration(tmp_path, free_port(), {"app": free_port()}).read_text(), tmp_path)
    assert with_retries(text, {"RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure"}) == text
    rewritten = with_retries(text, {})
    assert with_retries(rewritten, {}) == rewritten
    assert rewritten.count("retry-on conn-failure empty-response\n    retries 3\n") == 1
    assert rewritten.count("disable-l7-retry") == 1
    assert rewritten.index("req.fhdr_cnt") < rewritten.index("x-luna-call")


class Replica(socketserver.StreamRequestHandler):
    """Answers a call, or closes the connection as a killed replica's kernel does."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            headers = {}
            while header := self.rfile.readline().strip():
                name, _, value = header.decode().partition(": ")
                headers[name.lower()] = value
            self.rfile.read(int(headers.get("content-length", "0")))
            pair = self.server.pair
            if b"healthz" not in line:
                pair.calls.append((self.server.server_address[1], headers))
                if pair.deaths:
                    pair.deaths -= 1
                    return
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")


class Pair:
    """Two replicas behind HAProxy, and a connection to it that is kept."""

    def __init__(self) -> None:
        self.deaths = 0
        """How many of the next calls end with the replica that gets them."""
        self.calls: list[tuple[int, dict[str, str]]] = []
        """The port of the replica, and the headers, of each call that one got."""
        self.port = free_port()
        self.connection = HTTPConnection(LOOPBACK, self.port, timeout=20)

    def ask(self, path: str, body: bytes = b"{}", method: str = "POST", **headers: str) -> tuple[int, str | None]:
        """The status, and Retry-After."""
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            answer.read()
        except (HTTPException, OSError):
            self.connection.close()
            raise
        return answer.status, answer.getheader("retry-after")

    def used(self) -> None:
        """Make HAProxy's connections to both replicas such that calls were answered on."""
        self.deaths = 0
        for _ in range(4):
            assert self.ask(CALL) == (200, None)
        self.calls.clear()


@pytest.fixture(scope="module")
def started() -> Iterator[Pair]:
    binary = haproxy_binary()
    assert binary
    # Below /tmp: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="luna-"))
    pair = Pair()
    servers = [socketserver.ThreadingTCPServer((LOOPBACK, 0), Replica) for _ in range(2)]
    for server in servers:
        server.pair = pair
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    written = serve_configuration(folder, pair.port, {"api": [server.server_address[1] for server in servers]})
    environment = os.environ | {VARIABLE: "POST mean", "LUNA_PEPPERS": "test:" + "p" * 32}
    haproxy = subprocess.Popen(
        [install_haproxy(folder, binary), "-db", "-f", written], stderr=subprocess.DEVNULL, env=environment
    )
    try:
        for _ in range(200):
            try:
                if pair.ask(CALL)[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        yield pair
    finally:
        haproxy.kill()
        haproxy.wait()
        for server in servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(folder)


@pytest.fixture
def pair(started: Pair) -> Pair:
    started.used()
    return started


@NEEDS_HAPROXY
@pytest.mark.parametrize(
    ("method", "path"), [("POST", CALL), ("POST", "/api/v1/mean"), ("GET", "/api/v1/indicators/rsi?symbol=A")]
)
@pytest.mark.parametrize("deaths", [1, 3])
def test_a_call_that_got_no_answer_is_sent_again_with_the_same_id(
    pair: Pair, method: str, path: str, deaths: int
) -> None:
    pair.deaths = deaths
    assert pair.ask(path, method=method, **{"X-Luna-Call": "mine"}) == (200, None)
    assert len(pair.calls) == deaths + 1
    (call_id,) = {headers["x-luna-call"] for _, headers in pair.calls}
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", call_id)
    assert [a != b for (a, _), (b, _) in itertools.pairwise(pair.calls)] == [True] * deaths
    assert pair.ask(CALL)[0] == 200
    assert pair.calls[-1][1]["x-luna-call"] != call_id


@NEEDS_HAPROXY
def test_a_call_that_never_gets_an_answer_ends_in_time(pair: Pair) -> None:
    pair.deaths = 4
    with suppress(HTTPException, OSError):  # HAProxy closes a connection whose replica's had been used
        assert pair.ask(CALL) == (503, "1")
    assert len(pair.calls) == 4


@NEEDS_HAPROXY
@pytest.mark.parametrize(("size", "attempts"), [(FITS, 2), (TOO_LARGE, 1)])
def test_a_body_is_sent_again_if_the_buffer_holds_it(pair: Pair, size: int, attempts: int) -> None:
    pair.deaths = 1
    with suppress(HTTPException, OSError) if attempts == 1 else nullcontext():
        assert pair.ask(CALL, b"1" * size)[0] == (200 if attempts == 2 else 503)
    assert len(pair.calls) == attempts


@NEEDS_HAPROXY
def test_a_body_that_comes_after_its_head_is_sent_again(pair: Pair) -> None:
    pair.deaths = 1
    with socket.create_connection((LOOPBACK, pair.port), timeout=10) as caller:
        caller.sendall(b"POST " + CALL.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        time.sleep(0.2)
        caller.sendall(b"dy")
        assert caller.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(pair.calls) == 2


@NEEDS_HAPROXY
def test_a_call_that_may_have_changed_something_is_sent_once(pair: Pair) -> None:
    pair.deaths = 1
    with suppress(HTTPException, OSError):
        assert pair.ask("/api/v1/7/metrics/ingest") == (503, "1")
    assert len(pair.calls) == 1
