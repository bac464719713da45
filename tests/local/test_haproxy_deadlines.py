"""A call through HAProxy is answered in time, whatever has become of the ingress replicas."""

from __future__ import annotations

import os
import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest
from tests.local.serve_haproxy import NEEDS_HAPROXY, serve_configuration

from luna_serving.edge.event_stream import HEARTBEAT_S
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.haproxy_deadlines import DEFAULT_S, LEAST_S, VARIABLE, answer_s, with_deadlines
from luna_serving.local.loopback.ray_environment import haproxy_binary, install_haproxy
from luna_serving.settings import PlatformSettings

DEADLINE_S = 1
WAITS_S = answer_s({VARIABLE: str(DEADLINE_S)})


def test_the_default_deadline_is_that_of_the_edge() -> None:
    assert PlatformSettings().edge.request_timeout_s == DEFAULT_S


def test_a_stream_that_only_beats_is_not_given_up() -> None:
    assert LEAST_S > HEARTBEAT_S + 2


@pytest.mark.parametrize(("set_to", "seconds"), [("", 35), ("60", 65), ("20.5", 26), ("2.5", 20), ("nonsense", 35)])
def test_haproxy_waits_a_moment_longer_than_the_edge(set_to: str, seconds: int) -> None:
    text = with_deadlines("defaults\n    mode http\n", {VARIABLE: set_to})
    assert f"timeout server {seconds}s" in text
    assert with_deadlines(text, {VARIABLE: set_to}) == text


def test_a_timeout_that_somebody_has_set_stays() -> None:
    text = with_deadlines("defaults\n    timeout server 9s\n    timeout tunnel 8s\n", {})
    assert text == "defaults\n    timeout server 9s\n    timeout tunnel 8s\n"


@NEEDS_HAPROXY
def test_serves_own_proxy_is_the_last_resort_of_no_backend(tmp_path: Path) -> None:
    written = serve_configuration(tmp_path, free_port(), {"luna": free_port()}, free_port()).read_text()
    assert " check backup\n" in written, "Serve writes it in another way"
    rewritten = with_deadlines(written, {})
    assert "backup" not in rewritten
    assert "server replica " in rewritten
    configuration = tmp_path / "rewritten.cfg"
    configuration.write_text(rewritten)
    checked = subprocess.run([haproxy_binary(), "-c", "-f", configuration], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


class Hung(socketserver.StreamRequestHandler):
    """Passes health checks, and answers nothing else."""

    def handle(self) -> None:
        if b"healthz" in self.rfile.readline():
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            self.server.released.wait(60)


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of a server that hangs."""
    server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Hung)
    server.released = threading.Event()
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Below /tmp: the path of a socket may have 107 bytes.
    made = Path(tempfile.mkdtemp(prefix="luna-"))
    yield made
    shutil.rmtree(made)


class Proxied:
    """HAProxy as Luna starts it, in front of an ingress replica and of Serve's own proxy."""

    def __init__(self, folder: Path, replica: int, fallback: int) -> None:
        binary = haproxy_binary()
        assert binary
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        written = serve_configuration(folder, port, {"luna": replica}, fallback)
        program = install_haproxy(folder, binary)
        environment = os.environ | {VARIABLE: str(DEADLINE_S)}
        self._process = subprocess.Popen([program, "-db", "-f", written], stderr=subprocess.DEVNULL, env=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def get(self, path: str) -> httpx.Response:
        with httpx.Client(timeout=30) as client:
            return client.get(f"{self.url}{path}")

    def until(self, path: str, status: int) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.get(path).status_code == status:
                    return
            except httpx.TransportError:  # it starts
                pass
            assert time.monotonic() < deadline, f"{path} never answered {status}"
            time.sleep(0.1)


@NEEDS_HAPROXY
def test_without_an_ingress_replica_a_call_is_refused_at_once_and_the_node_is_not_ready(
    folder: Path, hung: int
) -> None:
    with Proxied(folder, replica=free_port(), fallback=hung) as haproxy:
        haproxy.until("/-/healthz", 503)
        begun = time.monotonic()
        answer = haproxy.get("/luna/call")
        assert time.monotonic() - begun < WAITS_S / 2
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"


@NEEDS_HAPROXY
def test_a_call_to_an_ingress_replica_that_hangs_ends_a_moment_after_its_deadline(folder: Path, hung: int) -> None:
    with Proxied(folder, replica=hung, fallback=free_port()) as haproxy:
        haproxy.until("/-/healthz", 200)
        begun = time.monotonic()
        answer = haproxy.get("/luna/call")
        assert DEADLINE_S < time.monotonic() - begun < WAITS_S + 5
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
