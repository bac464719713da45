"""The small pure parts of the edge."""

import time
from typing import Any

import pytest

from luna_serving.ingress.account_routes import CSV, JSON, PARQUET, acceptable
from luna_serving.ingress.limits import ratelimit_headers
from luna_serving.ingress.problems import FieldError, Problem, invalid
from luna_serving.ingress.requests import Disconnected, hang_up_detector, read_body, require_json
from luna_serving.ingress.tokens import InvalidToken, Token, Tokens
from luna_store.api_keys import Peppers
from luna_store.debits import Standing

STANDING = Standing(
    quota_limit=500,
    quota_left=483,
    window_ends_at_ms=0,
    window_s=0,
    burst=100,
    tokens_left=99,
    interval_us=20_000,
    wait_us=0,
)


def messages(*parts: bytes, hang_up: bool = False) -> Any:
    queue = [{"type": "http.request", "body": p, "more_body": True} for p in parts]
    queue[-1]["more_body"] = hang_up
    if hang_up:
        queue.append({"type": "http.disconnect"})

    async def receive() -> Any:
        return queue.pop(0)

    return receive


async def test_a_body_is_read_whole_up_to_the_limit() -> None:
    assert await read_body({}, messages(b"ab", b"cd", b"e"), 5) == b"abcde"
    assert await read_body({}, messages(b"abcde"), 5) == b"abcde"


@pytest.mark.parametrize(
    ("headers", "parts"),
    [({}, [b"abc", b"def"]), ({b"content-length": b"6"}, [b"abcdef"]), ({b"content-length": b"6"}, [b"abc", b"def"])],
)
async def test_a_larger_body_is_refused_after_it_was_read(headers: dict[bytes, bytes], parts: list[bytes]) -> None:
    receive = messages(*parts, b"")
    with pytest.raises(Problem) as refused:
        await read_body(headers, receive, 5)
    assert refused.value.status == 413


async def test_a_caller_who_hangs_up_amid_the_body_is_noticed() -> None:
    with pytest.raises(Disconnected):
        await read_body({}, messages(b"abc", hang_up=True), 5)


async def test_the_detector_asks_without_waiting() -> None:
    import asyncio

    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    detector = hang_up_detector(receive)
    assert [detector(), detector()] == [False, False]
    gone.set()
    assert detector() is True


@pytest.mark.parametrize(
    "kind", [b"application/json", b"application/json; charset=utf-8", b"Application/JSON", b"application/vnd.x+json"]
)
def test_json_in_all_its_spellings_is_accepted(kind: bytes) -> None:
    require_json({b"content-type": kind})
    require_json({})


@pytest.mark.parametrize(
    "headers",
    [
        {b"content-type": b"text/plain"},
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"application/jsonp"},
        {b"content-type": b"application/json", b"content-encoding": b"gzip"},
    ],
)
def test_another_media_type_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Problem) as refused:
        require_json(headers)
    assert refused.value.status == 415


def test_ratelimit_headers_of_a_lifetime_quota_and_of_a_window() -> None:
    assert dict(ratelimit_headers(STANDING)) == {
        b"ratelimit-policy": b'"quota";q=500, "rate";q=100;w=2',
        b"ratelimit": b'"quota";r=483, "rate";r=99;t=0',
    }
    ends = int(time.time() * 1000) + 3_600_000
    from dataclasses import replace

    day = replace(STANDING, window_ends_at_ms=ends, window_s=86_400, tokens_left=0, wait_us=1_200_000)
    assert dict(ratelimit_headers(day)) == {
        b"ratelimit-policy": b'"quota";q=500;w=86400, "rate";q=100;w=2',
        b"ratelimit": b'"quota";r=483;t=3600, "rate";r=0;t=2',
    }


def test_a_token_survives_its_round_trip_and_nothing_else_does() -> None:
    tokens = Tokens(Peppers.parse("a:" + "a" * 16), 900)
    issued = tokens.issue(Token(42, "luna_abcdefgh"))
    assert tokens.verify(issued) == Token(42, "luna_abcdefgh")
    head, body, signature = issued.split(".")
    forged = ["", "a.b", f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", f"{head}.e30.{signature}"]
    forged.append(Tokens(Peppers.parse("a:" + "b" * 16), 900).issue(Token(42, "luna_abcdefgh")))
    forged.append(Tokens(Peppers.parse("a:" + "a" * 16), -1).issue(Token(42, "luna_abcdefgh")))
    for each in forged:
        with pytest.raises(InvalidToken, match="auth/token"):
            tokens.verify(each)


def test_a_token_of_an_older_pepper_is_valid_until_it_is_removed() -> None:
    old, both = Peppers.parse("a:" + "a" * 16), Peppers.parse("b:" + "b" * 16 + ",a:" + "a" * 16)
    issued = Tokens(old, 900).issue(Token(1, "luna_x"))
    assert Tokens(both, 900).verify(issued).account_id == 1


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", JSON),
        ("text/csv", CSV),
        ("application/vnd.apache.parquet", PARQUET),
        ("text/html, text/*;q=0.5, application/json;q=0.1", CSV),
        ("application/json;q=0.1, text/csv;q=0.9", CSV),
        ("text/csv;q=0, */*;q=0.1", JSON),
    ],
)
def test_the_form_follows_accept(accept: str, form: str) -> None:
    assert acceptable(accept) == form


def test_no_acceptable_form_is_said() -> None:
    with pytest.raises(Problem) as refused:
        acceptable("image/png")
    assert refused.value.status == 406


def test_a_problem_names_each_field_and_shows_the_first() -> None:
    problem = invalid(FieldError("/a", "Must be x."), FieldError("/b/0", "Must be y."))
    assert problem.detail == "/a: Must be x."
    assert b'"errors":[{"pointer":"/a","detail":"Must be x."},{"pointer":"/b/0"' in problem.body()
