"""Requests that two parsers could read in two ways, through HAProxy and uvicorn as Serve starts them.

HAProxy reuses its connections to replicas for all callers (`http-reuse always`). If HAProxy and uvicorn disagreed about
where a request ends, the rest would be the begin of another caller's request. Every path here carries a request to a
path of its own that must never be served, or only as the sender's own.
"""

import json
import secrets
import time
from collections.abc import Callable

import httpx
import pytest
from tests.serving.platform import Caller
from tests.threats.logs import lines_of, logs
from tests.threats.running import LocalLuna
from tests.threats.wire import PREFACE, Answers, fields, frame, read, send


@pytest.fixture(scope="module")
def caller(luna: LocalLuna) -> Caller:
    return luna.new_caller()


def smuggled(name: str) -> bytes:
    """A request that a replica would log by its path."""
    return b"GET /api/v1/%b HTTP/1.1\r\nHost: luna\r\nX-Request-ID: %b\r\n\r\n" % (name.encode(), name.encode())


# The headers that frame a body, and a body that hides the request `s` for one way of reading them.
AMBIGUOUS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "length and chunked": (
        b"Content-Length: 60\r\nTransfer-Encoding: chunked\r\n",
        lambda s: b"0\r\n\r\n" + s,
    ),
    "chunked and length": (
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        lambda s: b"%x\r\n%b\r\n0\r\n\r\n" % (len(s), s),
    ),
    "two lengths": (b"Content-Length: 2\r\nContent-Length: 90\r\n", lambda s: b"{}" + s),
    "a length with a sign": (b"Content-Length: +2\r\n", lambda s: b"{}" + s),
    "a negative length": (b"Content-Length: -2\r\n", lambda s: b"{}" + s),
    "a hexadecimal length": (b"Content-Length: 0x2\r\n", lambda s: b"{}" + s),
    "a length beyond 64 bits": (b"Content-Length: 99999999999999999999999\r\n", lambda s: b"{}" + s),
    "an empty length": (b"Content-Length: \r\n", lambda s: b"{}" + s),
    "two different lengths in a list": (b"Content-Length: 2, 3\r\n", lambda s: b"{}" + s),
    "space before the colon": (
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
        lambda s: b"0\r\n\r\n" + s,
    ),
    "an unknown coding": (b"Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n", lambda s: b"{}" + s),
    "a coding with a vertical tab": (
        b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n",
        lambda s: b"0\r\n\r\n" + s,
    ),
    "a coding with a tab": (b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n", lambda s: b"0\r\n\r\n" + s),
    "a coding with NUL": (b"Transfer-Encoding: chunked\0\r\nContent-Length: 5\r\n", lambda s: b"0\r\n\r\n" + s),
    "a folded coding": (b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", lambda s: b"0\r\n\r\n" + s),
    "two codings": (
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        lambda s: b"0\r\n\r\n" + s,
    ),
    "chunked, then identity": (b"Transfer-Encoding: chunked, identity\r\n", lambda s: b"0\r\n\r\n" + s),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked\r\n", lambda s: b"0\r\n\r\n" + s),
    "a bare line feed before the coding": (
        b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        lambda s: b"0\r\n\r\n" + s,
    ),
    "a bare carriage return before the coding": (
        b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        lambda s: b"0\r\n\r\n" + s,
    ),
    "a chunk's size with 0x": (b"Transfer-Encoding: chunked\r\n", lambda s: b"0x2\r\n{}\r\n0\r\n\r\n" + s),
    "a chunk's size beyond 64 bits": (
        b"Transfer-Encoding: chunked\r\n",
        lambda s: b"fffffffffffffffff2\r\n{}\r\n0\r\n\r\n" + s,
    ),
    "a chunk's size with a sign": (b"Transfer-Encoding: chunked\r\n", lambda s: b"+2\r\n{}\r\n0\r\n\r\n" + s),
    "chunks with bare line feeds": (b"Transfer-Encoding: chunked\r\n", lambda s: b"2\n{}\n0\n\n" + s),
    "an extension that ends in a line feed": (
        b"Transfer-Encoding: chunked\r\n",
        lambda s: b"2;\n{}\r\n0\r\n\r\n" + s,
    ),
    "a chunk longer than its size": (b"Transfer-Encoding: chunked\r\n", lambda s: b"2\r\n{}XX0\r\n\r\n" + s),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_body_that_two_parsers_could_end_in_two_places_hides_no_request(
    luna: LocalLuna, caller: Caller, name: str
) -> None:
    framing, body = AMBIGUOUS[name]
    marker = f"smuggled-{secrets.token_hex(6)}"
    head = b"POST /api/v1/kalman HTTP/1.1\r\nHost: luna\r\nContent-Type: application/json\r\nX-API-Key: "
    head += caller.key.secret.encode() + b"\r\n"
    answers = send(luna, head + framing + b"\r\n" + body(smuggled(marker)))
    assert answers.statuses in ([400], [422], [413]), answers.raw
    assert marker.encode() not in answers.raw
    # What follows may be no request, so the connection ends (RFC 9112, section 6.3).
    assert answers.closed, answers.raw
    assert_others_are_answered(luna, caller)
    assert not served(luna, marker)


def assert_others_are_answered(luna: LocalLuna, caller: Caller) -> None:
    """Callers behind the same connections of HAProxy get their own answers."""
    for _ in range(6):
        own = secrets.token_hex(8)
        answer = httpx.get(f"{luna.url}/api/v1/account", headers={"X-API-Key": caller.key.secret, "X-Request-ID": own})
        assert (answer.status_code, answer.headers["x-request-id"]) == (200, own)
        assert answer.json()["account_id"] == caller.id


def served(luna: LocalLuna, marker: str) -> list[str]:
    """Lines of the request log that name the marker."""
    return [line for log in logs(luna) for line in lines_of(log) if marker in line]


def test_pipelined_requests_are_answered_in_order_each_as_its_own(luna: LocalLuna, caller: Caller) -> None:
    other = luna.new_caller()
    names = [f"pipelined-{i}-{secrets.token_hex(6)}" for i in range(3)]

    def request(of: Caller, name: str) -> bytes:
        head = f"GET /api/v1/account HTTP/1.1\r\nHost: x\r\nX-API-Key: {of.key.secret}\r\nX-Request-ID: {name}\r\n\r\n"
        return head.encode()

    answers = send(luna, b"".join(map(request, (caller, other, caller), names)))
    assert answers.statuses == [200, 200, 200]
    parts = answers.raw.split(b"HTTP/1.1 200 ")[1:]
    ids = [json.loads(part.partition(b"\r\n\r\n")[2])["account_id"] for part in parts]
    assert ids == [caller.id, other.id, caller.id]
    assert all(name.encode() in part for name, part in zip(names, parts, strict=True))
    # What the other tests of this module look for would be found.
    assert all(served(luna, name) for name in names)


def test_a_body_of_a_get_is_not_the_next_request(luna: LocalLuna) -> None:
    marker = f"smuggled-{secrets.token_hex(6)}"
    hidden = smuggled(marker)
    answers = send(luna, b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
    assert answers.statuses == [200]
    assert not served(luna, marker)


def test_a_refused_upgrade_opens_no_tunnel(luna: LocalLuna, caller: Caller) -> None:
    marker = f"pipelined-{secrets.token_hex(6)}"
    upgrade = (
        b"GET /api/v1/kalman/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 777\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    answers = send(luna, upgrade + smuggled(marker))
    # The second is the sender's own next request, and is answered as one: by HAProxy's rules, on this connection.
    assert answers.statuses[0] in {400, 401, 426}
    assert answers.statuses[1:] in ([], [404])
    assert_others_are_answered(luna, caller)


def test_an_upgrade_to_http_2_is_ignored(luna: LocalLuna) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    answers = send(luna, head + b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", quiet_s=0.3)
    assert answers.statuses == [200]
    assert b"upgrade" not in answers.raw.lower()


HTTP2: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {
    "a shorter length than the data": ([(b"content-length", b"2")], b"{}"),
    "a coding": ([(b"transfer-encoding", b"chunked")], b"0\r\n\r\n"),
    "a line break in a value": ([(b"x-a", b"b\r\ntransfer-encoding: chunked")], b"0\r\n\r\n"),
    "a line break in a name": ([(b"x-a: b\r\ntransfer-encoding", b"chunked")], b"0\r\n\r\n"),
    "a line feed in a value": ([(b"x-a", b"b\ncontent-length: 2")], b"{}"),
    "a colon in a name": ([(b"x-a: b", b"c")], b"{}"),
    "a name in capitals": ([(b"X-A", b"b")], b"{}"),
    "a space in the path": ([(b":path", b"/health/live HTTP/1.1")], b""),
    "NUL in a value": ([(b"x-a", b"b\0c")], b"{}"),
    "a connection header": ([(b"connection", b"transfer-encoding")], b"{}"),
    "two methods": ([(b":method", b"GET")], b"{}"),
}


@pytest.mark.parametrize("name", HTTP2)
def test_what_http_2_can_say_and_http_1_cannot_hides_no_request(luna: LocalLuna, caller: Caller, name: str) -> None:
    more, body = HTTP2[name]
    marker = f"smuggled-{secrets.token_hex(6)}"
    usual = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/api/v1/kalman"), (b":authority", b"luna")]
    block = fields(*[pair for pair in usual if pair[0] != more[0][0] or name == "two methods"], *more)
    request = PREFACE + frame(1, 4, 1, block) + frame(0, 1, 1, body + smuggled(marker))
    with luna.connect() as connection:
        connection.sendall(request)
        answers: Answers = read(connection, quiet_s=0.5)
    assert marker.encode() not in answers.raw
    assert_others_are_answered(luna, caller)
    assert not served(luna, marker)


HEADS = {
    "absolute form of another host": b"GET http://other.example/health/live HTTP/1.1\r\nHost: luna\r\n\r\n",
    "two hosts": b"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no version": b"GET /health/live\r\n\r\n",
    "a space before the first header": b"GET /health/live HTTP/1.1\r\n Host: luna\r\n\r\n",
    "a control character in a header": b"GET /health/live HTTP/1.1\r\nHost: luna\r\nX-Request-ID: a\x1b[31m\r\n\r\n",
    "NUL in a header": b"GET /health/live HTTP/1.1\r\nHost: luna\r\nX-Request-ID: a\0b\r\n\r\n",
    "a name with a space": b"GET /health/live HTTP/1.1\r\nHost: luna\r\nX Y: z\r\n\r\n",
    "no name": b"GET /health/live HTTP/1.1\r\nHost: luna\r\n: z\r\n\r\n",
    "a method with a control character": b"GE\x1bT /health/live HTTP/1.1\r\nHost: luna\r\n\r\n",
    "a path with a control character": b"GET /health/\x1blive HTTP/1.1\r\nHost: luna\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_is_refused_by_a_problem(luna: LocalLuna, name: str) -> None:
    answers = send(luna, HEADS[name], quiet_s=0.3)
    assert answers.statuses == [400], answers.raw
    head, _, body = answers.raw.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    assert json.loads(body)["type"] == "https://luna.dev/problems/bad-request"


@pytest.mark.parametrize(
    "sent",
    ["a\r\n\tSet-Cookie: stolen=1", "a%0d%0aSet-Cookie:x", "a b", "x" * 129, "\xe4\xf6", '"><script>', "${jndi:ldap}"],
)
def test_a_request_id_starts_no_header_and_comes_back_only_if_it_is_sane(luna: LocalLuna, sent: str) -> None:
    request = f"GET /health/live HTTP/1.1\r\nHost: luna\r\nX-Request-ID: {sent}\r\n\r\n".encode("latin-1")
    answers = send(luna, request, quiet_s=0.3)
    head = answers.raw.partition(b"\r\n\r\n")[0].lower()
    assert answers.statuses == [200]
    assert b"set-cookie" not in head
    assert sent.lower().encode("latin-1") not in head
    assert head.count(b"x-request-id: ") == 1


def test_internal_headers_from_outside_change_nothing(luna: LocalLuna, caller: Caller) -> None:
    """`x-luna-timeout-seconds` is the edge's own name for a deadline; Serve's switches are set by us alone."""
    forged = {
        "x-luna-timeout-seconds": "0.000001",
        "x-request-disconnect-disabled": "?0",
        "serve_multiplexed_model_id": "x",
        "X-Request-ID": "mine",
    }
    answer = httpx.post(
        f"{luna.url}/api/v1/kalman",
        headers={"X-API-Key": caller.key.secret} | forged,
        json={"results": [1.0, 2.0, 3.0]},
    )
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "mine"


def test_a_header_cannot_be_hidden_by_connection(luna: LocalLuna, caller: Caller) -> None:
    """`Connection: X-API-Key` asks the proxy to drop the header: the call is refused or answered, never another's."""
    key = caller.key.secret.encode()
    request = b"GET /api/v1/account HTTP/1.1\r\nHost: x\r\nX-API-Key: %b\r\nConnection: close, X-API-Key\r\n\r\n" % key
    answers = send(luna, request)
    assert answers.statuses in ([200], [401])
    if answers.statuses == [200]:
        assert json.loads(answers.raw.partition(b"\r\n\r\n")[2])["account_id"] == caller.id


def test_haproxy_waits_for_a_head_for_half_a_minute_at_most(luna: LocalLuna) -> None:
    configurations = list(luna.run_folder.glob("ha/*/haproxy.cfg"))
    assert configurations
    assert all("\n    timeout http-request 30s\n" in each.read_text() for each in configurations)


@pytest.mark.slow
def test_a_caller_who_sends_a_head_byte_by_byte_is_answered_408_and_left(luna: LocalLuna) -> None:
    begun = time.monotonic()
    with luna.connect(60) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: luna\r\n")
        answers = Answers(b"", closed=False)
        while not answers.closed and time.monotonic() - begun < 60:
            connection.sendall(b"a")
            answers = read(connection, first_s=2.0)
    assert answers.statuses == [408]
    assert answers.closed
    assert 25 < time.monotonic() - begun < 45
