"""What HAProxy answers by itself looks like what Luna answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from tests.local.serve_haproxy import NEEDS_HAPROXY, serve_configuration

from luna_serving.edge.security_headers import ALWAYS, DATA_POLICY
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.haproxy_answers import (
    ANSWERS,
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_TARGET_BYTES,
    with_problems,
    write_answers,
)
from luna_serving.local.loopback.haproxy_on_loopback import closed
from luna_serving.local.loopback.haproxy_pages import PAGES, Page, rewritten_copy, with_problems_compiled_in
from luna_serving.local.loopback.ray_environment import haproxy_binary, install_haproxy
from luna_serving.wire import problems

SECURITY = [(name.decode(), value.decode()) for name, value in (*ALWAYS, DATA_POLICY)]
SAME = {
    408: problems.deadline(1),
    413: problems.too_large(1),
    500: problems.internal(),
    502: problems.overloaded(),
    503: problems.overloaded(),
    504: problems.overloaded(),
}
TIMEOUTS = {"timeout_client_s": 1, "timeout_server_s": 2, "timeout_http_request_s": 1}


@pytest.mark.parametrize("status", ANSWERS)
def test_an_answer_is_a_problem_with_the_length_that_it_says(status: int) -> None:
    head, body = ANSWERS[status].split("\r\n\r\n")
    problem = json.loads(body)
    assert f"Content-Length: {len(body)}" in head.split("\r\n")
    assert "Content-Type: application/problem+json" in head.split("\r\n")
    assert head.startswith(f"HTTP/1.1 {problem['status']} ")
    assert set(problem) == {"type", "title", "status", "detail"}
    assert ("Retry-After: 1" in head) == (status in {502, 503, 504})


@pytest.mark.parametrize("status", SAME)
def test_an_answer_has_the_type_that_luna_gives_the_same_mistake(status: int) -> None:
    problem = json.loads(ANSWERS[status].split("\r\n\r\n")[1])
    assert problem["type"] == problems.TYPE_BASE + SAME[status].slug
    assert problem["status"] == SAME[status].status


def test_serves_own_error_files_are_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    before = (
        "global\n    log a\ndefaults\n    mode http\n    errorfile 502 /a/500.http\n    errorfile 503 /a/500.http\n"
    )
    after = with_problems(before, folder)
    assert "500.http" not in after.replace("problem-500.http", "")
    assert re.findall(r"errorfile (\d+) '", after) == [str(status) for status in ANSWERS]
    assert with_problems(after, folder) == after


@NEEDS_HAPROXY
@pytest.mark.parametrize("name", ["plain", "with a space", "it's"])
def test_haproxy_accepts_what_serve_writes_and_we_rewrite(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    configuration = folder / "haproxy.cfg"
    written = serve_configuration(tmp_path, free_port(), {"app": free_port()}, **TIMEOUTS).read_text()
    write_answers(folder)
    configuration.write_text(with_problems(closed(written), folder))
    checked = subprocess.run([haproxy_binary(), "-c", "-f", configuration], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "errorfile" not in checked.stderr
    text = configuration.read_text()
    assert text.count("errorfile ") == len(ANSWERS)
    assert with_problems(text, folder) == text
    assert text.count("http-after-response set-header X-Request-ID") == 2


@NEEDS_HAPROXY
def test_in_a_pod_haproxy_answers_problems_and_listens_where_serve_has_it(tmp_path: Path) -> None:
    configuration = serve_configuration(tmp_path, free_port(), {"app": free_port()}, **TIMEOUTS)
    listeners = re.findall(r"^ *bind .*$", configuration.read_text(), re.MULTILINE)
    program = [sys.executable, "-c", "from luna_serving.local.loopback.haproxy_in_pod import main; main()"]
    checked = subprocess.run([*program, "-c", "-f", configuration], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert str(tmp_path / "haproxy-with-problems" / "haproxy") in checked.stderr
    text = configuration.read_text()
    assert re.findall(r"^ *bind .*$", text, re.MULTILINE) == listeners
    assert any("*:" in listener for listener in listeners)
    assert text.count("errorfile ") == len(ANSWERS)
    assert text.count("return status 431 ") == 2


class Garbage(socketserver.BaseRequestHandler):
    """A replica that does not speak HTTP."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"\0garbage\r\n\r\n")


class Silence(socketserver.BaseRequestHandler):
    """A replica that never answers."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.server.released.wait(10)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """HAProxy as Serve starts it, in front of replicas that are gone, mad and mute."""
    binary = haproxy_binary()
    assert binary
    # Below /tmp: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="luna-"))
    servers = [socketserver.ThreadingTCPServer((LOOPBACK, 0), handler) for handler in (Garbage, Silence)]
    for server in servers:
        server.released = threading.Event()
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    mad, mute = (server.server_address[1] for server in servers)
    written = serve_configuration(folder, port, {"gone": free_port(), "mad": mad, "mute": mute}, **TIMEOUTS)
    # The replicas here pass no health check; without one HAProxy sends them calls.
    written.write_text(re.sub(r"^( +server replica \S+) check.*$", r"\1", written.read_text(), flags=re.MULTILINE))
    environment = os.environ | {"LUNA_CORS_ORIGINS": "https://other.example, https://app.example"}
    haproxy = subprocess.Popen(
        [install_haproxy(folder, binary), "-db", "-f", written], stderr=subprocess.DEVNULL, env=environment
    )
    try:
        for _ in range(100):
            if socket.socket().connect_ex((LOOPBACK, port)) == 0:
                break
            time.sleep(0.1)
        yield port
    finally:
        haproxy.kill()
        haproxy.wait()
        for server in servers:
            server.released.set()
            server.shutdown()
            server.server_close()
        shutil.rmtree(folder)


def exchange(port: int, request: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())


@NEEDS_HAPROXY
@pytest.mark.parametrize(
    ("request_bytes", "status", "slug"),
    [
        (b"POST /mute HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", 400, "bad-request"),
        (b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n", 503, "overloaded"),
        (b"GET /mad HTTP/1.1\r\nHost: a\r\n\r\n", 503, "overloaded"),
        (b"GET /mute HTTP/1.1\r\nHost: a\r\n\r\n", 503, "overloaded"),
    ],
)
def test_what_haproxy_answers_by_itself_is_a_problem(port: int, request_bytes: bytes, status: int, slug: str) -> None:
    answered, headers, problem = exchange(port, request_bytes)
    assert (answered, problem["type"]) == (status, problems.TYPE_BASE + slug)
    assert headers["content-type"] == "application/problem+json"
    assert headers.get("retry-after") == ("1" if status == 503 else None)
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-request-id"])


@NEEDS_HAPROXY
@pytest.mark.parametrize(
    ("extra", "status", "slug"),
    [
        (b"".join(b"X-%d: a\r\n" % i for i in range(MAX_HEADERS - 1)), 503, "overloaded"),
        (b"".join(b"X-%d: a\r\n" % i for i in range(MAX_HEADERS)), 431, "headers-too-large"),
        (b"".join(b"X-%d: a\r\n" % i for i in range(1900)), 431, "headers-too-large"),
        (b"X: " + b"a" * (MAX_HEADERS_BYTES - 100) + b"\r\n", 503, "overloaded"),
        (b"X: " + b"a" * MAX_HEADERS_BYTES + b"\r\n", 431, "headers-too-large"),
        (b"X: " + b"a" * 60_000 + b"\r\n", 431, "headers-too-large"),
    ],
)
def test_a_head_beyond_the_limits_is_a_problem_of_its_own(port: int, extra: bytes, status: int, slug: str) -> None:
    answered, headers, problem = exchange(port, b"GET /gone HTTP/1.1\r\nHost: a\r\n" + extra + b"\r\n")
    assert (answered, problem["type"]) == (status, problems.TYPE_BASE + slug)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"]


@NEEDS_HAPROXY
def test_a_long_path_is_414_and_an_unserved_one_404(port: int) -> None:
    for length, status, slug in ((MAX_TARGET_BYTES - 1, 404, "not-found"), (MAX_TARGET_BYTES, 414, "uri-too-long")):
        answered, headers, problem = exchange(port, b"GET /" + b"a" * length + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (answered, problem["type"]) == (status, problems.TYPE_BASE + slug)
        assert headers["content-type"] == "application/problem+json"


@NEEDS_HAPROXY
def test_a_caller_who_closes_the_sending_side_before_the_answer_is_told_so(port: int) -> None:
    # As `nc -N` does. A caller who has given up looks the same, and gives a call back (docs/decisions/0020).
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(b"POST /mute HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        time.sleep(0.2)
        connection.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())
    assert (answer.status, problem["type"]) == (400, problems.TYPE_BASE + "bad-request")
    assert "sending side was closed before the answer" in problem["detail"]


@NEEDS_HAPROXY
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: luna_\0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
)
def test_what_is_not_http_is_answered_400_and_hung_up_on(port: int, request_bytes: bytes) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.getheader("connection")) == (400, "close")
        assert answer.getheader("content-type") == "application/problem+json"
        problem = json.loads(answer.read())
    assert (problem["type"], problem["status"]) == (problems.TYPE_BASE + "bad-request", 400)


@NEEDS_HAPROXY
def test_a_head_that_comes_too_slowly_is_a_408_problem(port: int) -> None:
    status, headers, problem = exchange(port, b"GET / HTTP/1.1\r\nHos")
    assert (status, problem["type"]) == (408, problems.TYPE_BASE + problems.deadline(1).slug)
    assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.status)
def test_a_compiled_answer_is_replaced_by_a_problem_of_its_length(page: Page) -> None:
    head, body = page.replacement().decode().split("\r\n\r\n")
    problem = json.loads(body)
    assert len(page.replacement()) == len(page.compiled)
    assert head.startswith(f"HTTP/1.1 {problem['status']} ")
    assert set(problem) == {"type", "title", "status", "detail"}
    # The length that HAProxy states is that of the text which is looked for.
    compiled_head, html = page.compiled.decode().split("\r\n\r\n")
    assert f"Content-length: {len(html)}" in compiled_head


@NEEDS_HAPROXY
def test_every_compiled_answer_is_found_in_the_program_and_nothing_else_changes() -> None:
    binary = haproxy_binary()
    assert binary
    program = binary.read_bytes()
    rewritten = with_problems_compiled_in(program)
    assert rewritten is not None
    assert len(rewritten) == len(program)
    for page in PAGES:
        rewritten = rewritten.replace(page.replacement() + b"\0", page.compiled + b"\0")
    assert rewritten == program


def test_a_program_with_other_answers_runs_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "haproxy"
    known = b"".join(page.compiled + b"\0" for page in PAGES)
    for program in (b"", known[:-300], known + known):
        other.write_bytes(program)
        assert with_problems_compiled_in(program) is None
        assert rewritten_copy(other, tmp_path) == other
    other.write_bytes(known)
    assert rewritten_copy(other, tmp_path / "missing") == other
    copy = rewritten_copy(other, tmp_path)
    assert copy != other
    assert copy.stat().st_mode & 0o777 == 0o700
    assert other.read_bytes() == known


@NEEDS_HAPROXY
def test_haproxys_own_answer_carries_the_callers_request_id_if_it_is_sane(port: int) -> None:
    ask = b"GET /gone HTTP/1.1\r\nHost: a\r\nX-Request-ID: %s\r\n\r\n"
    assert exchange(port, ask % b"call:7")[1]["x-request-id"] == "call:7"
    assert len(exchange(port, ask % b"<script>")[1]["x-request-id"]) == 36
    assert len(exchange(port, ask % (b"a" * 129))[1]["x-request-id"]) == 36


@NEEDS_HAPROXY
def test_haproxys_own_answer_has_the_headers_of_all_answers_once(port: int) -> None:
    for path in (b"/gone", b"/mad", b"/nowhere", b"/" + b"a" * MAX_TARGET_BYTES):
        _, headers, _ = exchange(port, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert {name: headers[name] for name, _ in SECURITY} == dict(SECURITY)
        assert "server" not in headers


@NEEDS_HAPROXY
@pytest.mark.parametrize(
    ("origin", "readable"),
    [
        (b"https://app.example", True),
        (b"https://other.example", True),
        (b"https://evil.example", False),
        (b"https://app.example.evil.example", False),
        (b"null", False),
    ],
)
def test_a_page_of_a_listed_origin_can_read_that_no_replica_is_left(port: int, origin: bytes, readable: bool) -> None:
    status, headers, _ = exchange(port, b"GET /gone HTTP/1.1\r\nHost: a\r\nOrigin: " + origin + b"\r\n\r\n")
    assert status == 503
    assert headers.get("access-control-allow-origin") == (origin.decode() if readable else None)
    assert ("Retry-After" in headers.get("access-control-expose-headers", "")) == readable
    assert "access-control-allow-credentials" not in headers


@NEEDS_HAPROXY
@pytest.mark.parametrize("origins", ["*", "https://a.example,http://[::1]:80", "it's, a b", "} or { always_true"])
def test_no_list_of_origins_breaks_the_configuration(tmp_path: Path, origins: str) -> None:
    written = serve_configuration(tmp_path, free_port(), {"app": free_port()}, **TIMEOUTS)
    write_answers(tmp_path)
    environment = {"LUNA_CORS_ORIGINS": origins, "LUNA_CORS_CREDENTIALS": "true"}
    text = with_problems(written.read_text(), tmp_path, environment)
    written.write_text(text)
    checked = subprocess.run([haproxy_binary(), "-c", "-f", written], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert with_problems(text, tmp_path, environment) == text
