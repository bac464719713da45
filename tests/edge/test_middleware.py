import json
from typing import Any

import pytest

from luna_serving.edge.deadline_header import DEADLINE_HEADER, timeout_s
from luna_serving.edge.middleware import SERVE_WATCHES, ServeErrorsAsProblems, rewritten


async def answer(status: int, content_type: bytes, body: list[bytes], scope_type: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", content_type), (b"content-length", b"99"), (b"x-request-id", b"abc")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for i, part in enumerate(body):
            await send({"type": "http.response.body", "body": part, "more_body": i < len(body) - 1})

    async def send(message: Any) -> None:
        sent.append(message)

    await ServeErrorsAsProblems(app)({"type": scope_type, "headers": []}, None, send)
    return sent


@pytest.mark.parametrize(
    ("status", "becomes", "slug"),
    [(503, 503, "overloaded"), (500, 500, "internal"), (404, 404, "not-found"), (408, 408, "deadline")],
)
async def test_an_error_of_serve_itself_becomes_a_problem(status: int, becomes: int, slug: str) -> None:
    start, body = await answer(status, b"text/plain; charset=utf-8", [b"Request dropped ", b"due to backpressure"])
    headers = dict(start["headers"])
    assert start["status"] == becomes
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"] == b"abc"
    assert int(headers[b"content-length"]) == len(body["body"])
    assert json.loads(body["body"])["type"].endswith(slug)
    assert (b"retry-after" in headers) == (becomes == 503)


@pytest.mark.parametrize(("status", "kind"), [(200, b"text/plain"), (422, b"application/problem+json")])
async def test_an_answer_of_the_application_passes_unchanged(status: int, kind: bytes) -> None:
    start, first, second = await answer(status, kind, [b"a", b"b"])
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (status, b"99")
    assert (first["body"], second["body"]) == (b"a", b"b")


@pytest.mark.parametrize(
    "sane", [b"abc-123", b"550e8400-e29b-41d4-a716-446655440000", b"a" * 128, b"Root=1-2;".rstrip(b";")]
)
def test_a_sane_request_id_is_the_callers(sane: bytes) -> None:
    assert dict(rewritten([(b"x-request-id", sane)]))[b"x-request-id"] == sane


@pytest.mark.parametrize("mad", [b"", b"a" * 129, b"a b", b'"><script>', b"\xc3\xa9", b"a\tb"])
def test_another_request_id_is_replaced(mad: bytes) -> None:
    head = rewritten([(b"x-request-id", mad)])
    assert [name for name, _ in head].count(b"x-request-id") == 1
    assert dict(head)[b"x-request-id"] != mad
    assert len(dict(head)[b"x-request-id"]) == 32


def test_deadlines_become_the_edges_and_internal_headers_cannot_be_forged() -> None:
    head = rewritten(
        [(b"x-request-timeout-seconds", b"2.5"), (DEADLINE_HEADER, b"9"), (b"x-request-disconnect-disabled", b"no")]
    )
    assert [value for name, value in head if name == DEADLINE_HEADER] == [b"2.5"]
    assert [value for name, value in head if name == SERVE_WATCHES[0]] == [SERVE_WATCHES[1]]
    assert timeout_s(dict(head)) == 2.5


@pytest.mark.parametrize("asked", [b"-1", b"0", b"nan", b"inf", b"soon", b""])
def test_a_deadline_that_is_no_positive_number_is_ignored(asked: bytes) -> None:
    assert timeout_s({DEADLINE_HEADER: asked}) is None
