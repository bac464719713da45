"""The small pure parts of the edge."""

import base64
import gzip
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pyarrow as pa
import pytest
from starlette.requests import Request
from tests.edge.running import as_it_is, nobody

from luna_serving.access.credentials import Authenticator
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.access.tokens import LEEWAY_S, InvalidToken, Token, Tokens
from luna_serving.capabilities.account import token_routes
from luna_serving.capabilities.account.routes import span
from luna_serving.edge import operations_routes
from luna_serving.edge.bodies import (
    DRAIN_BYTES,
    Coding,
    Disconnected,
    coding_of,
    hang_up_detector,
    read_body,
    require_json,
    unpacked,
)
from luna_serving.edge.fastapi_app import build_api
from luna_serving.telemetry.health import Health
from luna_serving.wire.documents import read_object
from luna_serving.wire.encodings import misencoded
from luna_serving.wire.problems import FieldError, Problem, invalid, quota_exhausted
from luna_serving.wire.tabular import CSV, JSON, PARQUET, acceptable
from luna_store.accounts.api_keys import Peppers
from luna_store.quota.debits import Standing

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


async def test_a_larger_body_without_a_declared_length_is_refused_after_it_was_read() -> None:
    left = [b"abc", b"def", b""]
    receive = messages(*left)
    with pytest.raises(Problem) as refused:
        await read_body({}, receive, 5)
    assert refused.value.status == 413
    with pytest.raises(IndexError):
        await receive()


@pytest.mark.parametrize("declared", [6, DRAIN_BYTES + 1])
async def test_a_larger_declared_body_is_refused_before_it_is_read(declared: int) -> None:
    async def receive() -> Any:
        raise AssertionError("a read makes uvicorn send 100 Continue")

    with pytest.raises(Problem) as refused:
        await read_body({b"content-length": str(declared).encode()}, receive, 5)
    assert refused.value.status == 413


PACK: dict[Coding, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda body: pa.compress(body, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("coding", PACK)
def test_a_packed_body_is_unpacked_up_to_the_limit(coding: Coding) -> None:
    whole = b'{"results":[1,2]}'
    packed = PACK[coding](whole)
    assert unpacked(packed, coding, len(whole)) == whole
    assert unpacked(packed + packed, coding, 100) == whole + whole
    with pytest.raises(Problem) as refused:
        unpacked(packed, coding, len(whole) - 1)
    assert (refused.value.status, refused.value.extra["limit"]) == (413, len(whole) - 1)


@pytest.mark.parametrize("coding", PACK)
def test_a_bomb_is_unpacked_no_further_than_the_limit(coding: Coding) -> None:
    bomb = PACK[coding](b"0" * 200_000_000)
    assert len(bomb) < 250_000
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(Problem) as refused:
        unpacked(bomb, coding, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < 5_000_000


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("spoil", [lambda b: b[:-3], lambda b: b + b"x", lambda b: b"{}"], ids=["cut", "more", "none"])
def test_a_body_that_is_not_packed_as_it_says_is_refused(coding: Coding, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Problem) as refused:
        unpacked(spoil(PACK[coding](b'{"results":[1,2]}')), coding, 1000)
    assert (refused.value.slug, refused.value.status) == ("unsupported-media-type", 415)
    assert coding in refused.value.detail


def test_the_codings_are_those_of_the_contract_in_any_case() -> None:
    names = {b"gzip": "gzip", b"GZip": "gzip", b"x-gzip": "gzip", b"zstd": "zstd", b"identity": None, b" gzip ": "gzip"}
    assert {name: coding_of({b"content-encoding": name}) for name in names} == names
    assert coding_of({}) is None
    with pytest.raises(Problem) as refused:
        coding_of({b"content-encoding": b"br"})
    assert refused.value.headers["Accept-Encoding"] == "gzip, zstd"
    assert "gzip or zstd" in refused.value.detail


TEXT = '{"results":[1]}'


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (gzip.compress(TEXT.encode(), mtime=0), "gzip"),
        (pa.compress(TEXT.encode(), codec="zstd", asbytes=True), "zstd"),
        *((TEXT.encode(f"utf-{bits}{end}"), f"UTF-{bits}") for bits in (16, 32) for end in ("", "-le", "-be")),
        (b'{"results":["\xe4"]}', "byte 13 (0xe4)"),
        (b'{"results":["\xed\xa0\x80"]}', "byte 13 (0xed)"),
    ],
)
def test_a_body_in_another_encoding_is_told_its_name_and_the_cure(body: bytes, names: str) -> None:
    told = misencoded(body)
    assert told is not None
    assert names in told
    assert "Content-Encoding" in told or "Encode it as UTF-8" in told
    with pytest.raises(Problem) as refused:
        read_object(body, "results", 10)
    assert refused.value.extra["errors"] == [{"pointer": "", "detail": told}]


@pytest.mark.parametrize("body", [b"", b"\0", b"{", TEXT.encode(), "{ä".encode()])
def test_utf_8_is_no_other_encoding(body: bytes) -> None:
    assert misencoded(body) is None


@pytest.mark.parametrize(
    ("units", "left", "limit", "renewal_s", "wait", "says", "never"),
    [
        (3, 2, 5, 77, 77, "renewed in 77 s", "not renewed"),
        (3, 2, 5, None, 3600, "not renewed", "wait"),
        (1, 0, 5, None, 3600, "All 5 units of the quota are used", "wait"),
        (10, 5, 5, 77, 3600, "can never be covered", "wait"),
        (10, 5, 5, None, 3600, "can never be covered", "wait"),
    ],
)
def test_what_a_spent_quota_says_is_true(
    units: int, left: int, limit: int, renewal_s: int | None, wait: int, says: str, never: str
) -> None:
    problem = quota_exhausted(units, left, limit, renewal_s)
    assert says in problem.detail
    assert never not in problem.detail
    assert problem.headers["Retry-After"] == str(wait)
    assert problem.extra == {"cost": units, "remaining": left, "limit": limit, "permanent": wait == 3600}


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
        {b"content-type": b"application/json", b"content-encoding": b"br"},
        {b"content-type": b"application/json", b"content-encoding": b"gzip, gzip"},
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
    forged.append(Tokens(Peppers.parse("a:" + "a" * 16), -LEEWAY_S - 1).issue(Token(42, "luna_abcdefgh")))
    for each in forged:
        with pytest.raises(InvalidToken, match="auth/token"):
            tokens.verify(each)


@pytest.mark.parametrize("lifetime_s", [1 - LEEWAY_S, 900])
def test_a_token_is_valid_where_the_clock_differs_by_seconds(lifetime_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=LEEWAY_S - 5 if lifetime_s > 0 else 0)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return ahead

    peppers = Peppers.parse("a:" + "a" * 16)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("luna_serving.access.tokens.datetime", Clock)
        issued = Tokens(peppers, lifetime_s).issue(Token(1, "luna_x"))
    assert Tokens(peppers, 900).verify(issued).account_id == 1


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
        ("text/csv;q=\xb2, */*;q=0.1", JSON),
        ("text/csv;q=nan, */*;q=0.1", JSON),
        ("text/csv;q=, */*;q=0.1", JSON),
        ("text/csv;q=-1, */*;q=0.1", JSON),
    ],
)
def test_the_form_follows_accept(accept: str, form: str) -> None:
    assert acceptable(accept) == form


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=\xb2", "text/csv;q=nan"])
def test_no_acceptable_form_is_said(accept: str) -> None:
    with pytest.raises(Problem) as refused:
        acceptable(accept)
    assert refused.value.status == 406


NOW = datetime(2026, 7, 1, tzinfo=UTC)
FIRST, LAST = map(datetime.fromisoformat, ("0001-01-01T00:00:00", "9999-12-31T23:59:59"))
EAST, WEST = timezone(timedelta(hours=12)), timezone(timedelta(hours=-12))


@pytest.mark.parametrize(
    ("since", "until", "pointer"),
    [
        (None, FIRST, "/query/until"),
        (None, FIRST.replace(tzinfo=EAST), "/query/until"),
        (None, LAST.replace(tzinfo=WEST), "/query/until"),
        (FIRST, None, "/query/since"),
        (FIRST.replace(tzinfo=EAST), None, "/query/since"),
        (LAST.replace(tzinfo=WEST), None, "/query/since"),
        (LAST, LAST, "/query/since"),
        (FIRST, LAST, "/query/since"),
    ],
)
def test_a_span_at_the_ends_of_the_calendar_is_refused_by_its_field(
    since: datetime | None, until: datetime | None, pointer: str
) -> None:
    with pytest.raises(Problem) as refused:
        span(since, until, "day", NOW)
    assert refused.value.status == 422
    assert refused.value.extra["errors"][0]["pointer"] == pointer


def test_a_span_is_in_utc_and_by_default_the_last_thirty_days() -> None:
    assert span(None, None, "day", NOW) == (NOW - timedelta(days=30), NOW)
    assert span(FIRST, FIRST + timedelta(days=1), "hour", NOW)[0] == FIRST.replace(tzinfo=UTC)
    start, _ = span(datetime(2026, 6, 30, 12, tzinfo=WEST), None, "day", NOW + timedelta(days=1))
    assert (start, start.tzinfo) == (NOW, UTC)


def test_a_problem_names_each_field_and_shows_the_first() -> None:
    problem = invalid(FieldError("/a", "Must be x."), FieldError("/b/0", "Must be y."))
    assert problem.detail == "/a: Must be x."
    assert b'"errors":[{"pointer":"/a","detail":"Must be x."},{"pointer":"/b/0"' in problem.body()


@pytest.mark.parametrize("name", ["slug", "status", "title", "detail", "headers", "extra"])
def test_a_problem_never_changes_and_can_be_raised_through_a_context_manager(name: str) -> None:
    @contextmanager
    def passing() -> Iterator[None]:
        yield

    problem = invalid(FieldError("/a", "Must be x."))
    with pytest.raises(Problem) as raised, passing():
        raise problem
    assert raised.value is problem
    before = problem.body()
    with pytest.raises(FrozenInstanceError):
        setattr(problem, name, getattr(problem, name))
    assert problem.body() == before
    changed = replace(problem, detail="Must be y.")
    assert (changed.detail, changed.extra, problem.detail) == ("Must be y.", problem.extra, "/a: Must be x.")


FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"


async def read_form(*parts: bytes, hang_up: bool = False, **headers: str) -> token_routes.Form:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "headers": raw}
    return await token_routes.form(Request(scope, messages(*parts, hang_up=hang_up)))


async def test_a_token_form_is_read_in_all_its_spellings() -> None:
    in_body = await read_form(f"{GRANT}&client_id=4".encode(), b"2&client_secret=a%2Bb&scope=")
    assert in_body == token_routes.Form("client_credentials", "42", "a+b", basic=False)
    basic = base64.b64encode(b"42:a%2Bb").decode()
    by_basic = await read_form(GRANT.encode(), authorization=f"Basic {basic}")
    assert by_basic == token_routes.Form("client_credentials", "42", "a+b", basic=True)


async def test_a_token_form_beyond_its_limit_is_refused_without_being_kept_or_read_to_its_end() -> None:
    chunk = b"a" * (1024 * 1024)
    handed = 0

    async def receive() -> Any:
        nonlocal handed
        handed += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    with pytest.raises(Problem) as refused:
        await token_routes.form(Request({"type": "http", "headers": []}, receive))
    assert refused.value.status == 413
    assert handed <= DRAIN_BYTES + 2 * len(chunk)


async def test_a_token_form_that_breaks_off_is_an_invalid_request() -> None:
    with pytest.raises(Problem) as refused:
        await read_form(GRANT.encode(), hang_up=True)
    assert refused.value.extra["error"] == "invalid_request"


async def token_answer(form: str, **headers: str) -> httpx.Response:
    peppers = Peppers.parse("a:" + "a" * 16)
    tokens = Tokens(peppers, 900)
    # No request here comes as far as the stores.
    strangers_only: Any = None
    routes = token_routes.router(Authenticator(peppers, tokens), strangers_only, tokens, strangers_only)
    app = build_api([], [routes], nobody, as_it_is)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://luna") as client:
        return await client.post("/api/v1/auth/token", content=form, headers={"content-type": FORM} | headers)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=&client_id=1&client_secret=x", "invalid_request"),
        ("client_id=1&client_secret=x", "invalid_request"),
        ("grant_type=password&client_id=1&client_secret=x", "unsupported_grant_type"),
        (f"{GRANT}&client_id=&client_secret=x", "invalid_request"),
        (f"{GRANT}&{GRANT}&client_id=1&client_secret=x", "invalid_request"),
        (f"{GRANT}&client_id=1&client_id=2&client_secret=x", "invalid_request"),
        (f"{GRANT}&client_id=1&client_secret=x&scope=a&scope=b", "invalid_request"),
    ],
)
async def test_a_token_request_that_leaves_out_or_repeats_a_parameter_is_refused(form: str, error: str) -> None:
    answer = await token_answer(form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_client_that_came_with_basic_is_asked_for_basic_again() -> None:
    by_basic = await token_answer(GRANT, authorization=f"Basic {base64.b64encode(b'1:x').decode()}")
    in_body = await token_answer(f"{GRANT}&client_id=1&client_secret=x")
    for answer in (by_basic, in_body):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert 'Bearer realm="luna"' in answer.headers["www-authenticate"]
    assert 'Basic realm="luna"' in by_basic.headers["www-authenticate"]
    assert "Basic" not in in_body.headers["www-authenticate"]


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(
    "path", ["/health", "/health/live", "/health/ready", "/health/detailed", "/liveness", "/readiness"]
)
async def test_head_on_a_health_route_answers_like_get(path: str, up: bool) -> None:
    async def check() -> None:
        if not up:
            raise OSError("gone")

    no_metrics: Any = None
    health = Health({"redis": check, "postgres": check}, {"kalman": check}, {})
    app = build_api([], [operations_routes.router(health, no_metrics, dict, no_metrics)], nobody, as_it_is)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://luna") as client:
        got, head, posted = await client.get(path), await client.head(path), await client.post(path)
    assert head.status_code == got.status_code == (200 if up or path not in {"/health/ready", "/readiness"} else 503)
    assert head.headers == got.headers
    assert set(posted.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert list(app.openapi()["paths"][path]) == ["get"]
