"""Operations of every sort over a real connection: parameters, methods, statuses, bodies in pieces."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.edge.running import TOKENS, access_of, edge_of, running
from tests.store.stores import Caller, Store

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Credential
from luna_serving.access.tokens import Token
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.dispatch.work import Rendered
from luna_serving.edge.operation import Answer, Asked, Exchange, Operation, Query
from luna_serving.edge.own_accounts import KEPT_S, MAX_ENTRIES, OwnAccounts
from luna_serving.edge.query import Parameters
from luna_serving.telemetry.metrics import DispatchMetrics
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.accounts.api_keys import ApiKey
from luna_store.quota.debits import Grant

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain")


@dataclass(frozen=True)
class Echo:
    """A call that costs 2 units and answers what it was asked."""

    job: Any
    units: int = 2
    grant: Grant | None = None
    points: int = 1

    @property
    def amounts(self) -> dict[str, int]:
        return {}

    def limit_error(self, limit: str, most: int) -> FieldError:
        raise AssertionError

    def finish(self, result: Any) -> bytes:
        return json.dumps(result).encode()


def gate_of(store: Store) -> Gate:
    async def compute(jobs: Sequence[Any]) -> list[Any]:
        return list(jobs)

    return Gate(
        access_of(store).charges,
        compute,
        GateLimits(10, 1000, 10, 1, 5.0),
        DispatchMetrics(CollectorRegistry()).of("mean"),
    )


def computing(store: Store) -> list[Operation | Query]:
    def parse(asked: Parameters) -> Echo:
        return Echo({**asked.path, "symbol": asked.one("symbol"), "all": asked.query.get("all", [])})

    return [
        Operation("kalman", gate_of(store), lambda body: Echo(json.loads(body)), capability="kalman"),
        Query(
            "indicators/{name}",
            gate_of(store),
            parse,
            frozenset({"symbol", "all"}),
            capability="indicators",
        ),
    ]


def client_of(url: str, caller: Caller, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{url}/api/v1", headers={"X-API-Key": caller.key.secret} | headers)


async def test_a_get_with_parameters_is_computed_and_charged(store: Store) -> None:
    caller = await store.account()
    async with (
        edge_of(access_of(store), computing(store)) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        long = await client.get(f"/{caller.account_id}/indicators/rsi", params={"symbol": "A&B", "all": ["1", "2"]})
        short = await client.get("/indicators/r%20si")
        head = await client.head("/indicators/rsi")
        twice = await client.get("/indicators/rsi", params={"symbol": ["A", "B"]})
        unknown = await client.get("/indicators/rsi?symbl=A")
        posted = await client.post("/indicators/rsi", json={})
    assert long.json() == {"name": "rsi", "symbol": "A&B", "all": ["1", "2"]}
    assert short.json() == {"name": "r si", "symbol": "", "all": []}
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(json.dumps({"name": "rsi", "symbol": "", "all": []}))
    assert [e["pointer"] for e in twice.json()["errors"]] == ["/query/symbol"]
    (error,) = unknown.json()["errors"]
    assert error["pointer"] == "/query/symbl"
    assert "Use all, symbol." in error["detail"] or "Use symbol, all." in error["detail"]
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    for answer in (long, short, head, twice, unknown, posted):
        assert "ratelimit" in answer.headers
    assert await store.left(caller.account_id) == 500 - 3 * 2


async def test_a_post_refuses_query_parameters_and_costs_nothing_then(store: Store) -> None:
    caller = await store.account()
    async with (
        edge_of(access_of(store), computing(store)) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        refused = await client.post("/kalman?precision=double", json={})
        bare = await client.post("/kalman?", json={})
        stranger = await client.post("/kalman?x=1", json={}, headers={"X-API-Key": ApiKey.issue().secret})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/query/precision"
    assert "takes none" in error["detail"]
    assert "ratelimit" in refused.headers
    assert bare.status_code == 200
    assert stranger.status_code == 401
    assert await store.left(caller.account_id) == 498


class Counting(Authorization):
    """Counts how often a store is asked whose a credential is."""

    asked = 0

    async def identify(self, credential: Credential) -> int:
        self.asked += 1
        return await super().identify(credential)


async def test_the_short_path_is_the_credentials_account_and_asks_for_it_once(store: Store) -> None:
    ours, theirs = await store.account(), await store.account()
    wired = access_of(store)
    plain = wired.authorization
    callers = Counting(plain._authenticator, plain._charges, plain._denials)
    token = TOKENS.issue(Token(theirs.account_id, theirs.key.prefix))
    async with edge_of(replace(wired, authorization=callers), computing(store)) as edge, running(edge) as url:
        async with client_of(url, ours) as client:
            for _ in range(5):
                assert (await client.post("/kalman", json={})).status_code == 200
            assert callers.asked == 1
            other = await client.post(f"/{theirs.account_id}/kalman", json={})
            assert (other.status_code, other.json()["type"]) == (403, "https://luna.dev/problems/other-account")
        callers.asked = 0
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as client:
            assert (await client.post("/kalman", json={})).status_code == 200
        assert callers.asked == 0, "a token carries its account"
        stranger = {"X-API-Key": ApiKey.issue().secret}
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=stranger) as client:
            assert (await client.post("/kalman", json={})).status_code == 401
    assert await store.left(ours.account_id) == 490
    assert await store.left(theirs.account_id) == 498


async def test_a_key_that_is_revoked_is_a_strangers_on_the_short_path_at_once(store: Store) -> None:
    caller = await store.account()
    async with (
        edge_of(access_of(store), computing(store)) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        assert (await client.post("/kalman", json={})).status_code == 200
        await store.execute("UPDATE api_keys SET revoked_at = now() WHERE account_id = :id", id=caller.account_id)
        await store.cache.rebuild(caller.account_id)
        assert (await client.post("/kalman", json={})).status_code == 401
    assert await store.left(caller.account_id) == 498


async def test_a_wrong_account_that_is_remembered_charges_nobody_and_is_forgotten(store: Store) -> None:
    ours, theirs = await store.account(), await store.account()
    wired = access_of(store)
    async with (
        edge_of(wired, computing(store)) as edge,
        running(edge) as url,
        client_of(url, ours) as client,
    ):
        credential = wired.authorization.read({b"x-api-key": ours.key.secret.encode()})
        assert await edge._own.ask(credential) == ours.account_id
        (key,) = edge._own._entries
        edge._own._entries[key] = theirs.account_id, edge._own._entries[key][1]
        statuses = [(await client.post("/kalman", json={})).status_code for _ in range(2)]
    assert statuses == [403, 200]
    assert await store.left(theirs.account_id) == 500
    assert await store.left(ours.account_id) == 498


async def test_remembered_accounts_are_few_and_end() -> None:
    now = 0.0

    async def identify(credential: Credential) -> int:
        return int(credential.key_prefix)

    own = OwnAccounts(identify, lambda: now)
    for i in range(1, MAX_ENTRIES + 3):
        assert await own.ask(Credential(str(i), (f"d{i}",))) == i
    assert len(own._entries) == MAX_ENTRIES
    assert own.known(Credential("1", ("d1",))) is None
    last = Credential(str(MAX_ENTRIES), (f"d{MAX_ENTRIES}",))
    assert own.known(last) == MAX_ENTRIES
    now += KEPT_S
    assert own.known(last) is None
    assert own.known(Credential("x", (), token_account=7)) == 7


async def test_an_exchange_has_its_own_status_headers_and_body(store: Store) -> None:
    caller = await store.account()

    async def begin(asked: Asked) -> Answer:
        words = json.loads(await asked.json())
        return Answer(json.dumps(words).encode(), 202, [JSON, (b"location", b"/jobs/1")])

    async def drop(asked: Asked) -> Answer:
        if asked.parameters.path["id"] == "gone":
            raise problems.not_found("There is no job 'gone'.")
        return Answer(status=204)

    operations = [
        Exchange("POST", "jobs", begin, capability="jobs"),
        Exchange("DELETE", "jobs/{id}", drop, capability="jobs"),
    ]
    async with (
        edge_of(access_of(store), operations) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        begun = await client.post("/jobs", json={"a": 1})
        packed = await client.post(
            "/jobs",
            content=gzip.compress(b'{"a":2}'),
            headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
        )
        bomb = await client.post("/jobs", content=gzip.compress(b"0" * 2_000_000), headers={"Content-Encoding": "gzip"})
        text = await client.post("/jobs", content=b"x", headers={"Content-Type": "text/plain"})
        dropped = await client.delete(f"/{caller.account_id}/jobs/1")
        missing = await client.delete("/jobs/gone")
        stranger = await client.delete("/jobs/1", headers={"X-API-Key": ApiKey.issue().secret})
        again = await client.post("/jobs", json={})
    assert (begun.status_code, begun.headers["location"], begun.json()) == (202, "/jobs/1", {"a": 1})
    assert packed.json() == {"a": 2}
    assert [a.status_code for a in (bomb, text, missing, stranger)] == [413, 415, 404, 401]
    assert (dropped.status_code, dropped.content, "content-length" in dropped.headers) == (204, b"", False)
    assert again.status_code == 202, "the connection is as it was"
    for answer in (begun, packed, bomb, text, dropped, missing):
        assert "ratelimit" in answer.headers
    assert await store.left(caller.account_id) == 500


async def test_an_answer_in_pieces_waits_for_a_slow_caller_and_ends_with_one_that_leaves(store: Store) -> None:
    caller, made, closed = await store.account(), 0, asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x" * 65536
        finally:
            closed.set()

    async def serve(_: Asked) -> Answer:
        return Answer(pieces(), headers=[TEXT])

    operations = [Exchange("GET", "prices", serve, capability="market")]
    async with (
        edge_of(access_of(store), operations) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        async with client.stream("GET", "/prices") as answer:
            assert answer.status_code == 200
            assert "ratelimit" in answer.headers
            async with aclosing(answer.aiter_raw()) as raw:
                await anext(raw)
                await asyncio.sleep(0.3)
                before = made
                await asyncio.sleep(0.3)
                assert made == before, "nothing is made that nobody takes"
                assert made < 1000
        async with asyncio.timeout(5):
            await closed.wait()
        closed.clear()
        head = await client.head("/prices")
        assert (head.status_code, head.content) == (200, b"")
        assert closed.is_set()


async def test_a_caller_who_takes_nothing_is_left(store: Store) -> None:
    caller, closed = await store.account(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    async def serve(_: Asked) -> Answer:
        return Answer(pieces(), headers=[TEXT])

    operations = [Exchange("GET", "prices", serve, capability="market")]
    async with edge_of(access_of(store), operations, timeout_s=0.5) as edge, running(edge) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET /api/v1/prices HTTP/1.1\r\nHost: x\r\nX-API-Key: {caller.key.secret}\r\n\r\n"
        writer.write(request.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(5):
            await closed.wait()
        writer.close()


async def test_pieces_that_fail_are_an_error_before_the_first_and_a_broken_answer_after_it(store: Store) -> None:
    caller = await store.account()

    async def pieces(good: int, error: Exception) -> AsyncIterator[bytes]:
        for _ in range(good):
            yield b"piece"
        raise error

    async def serve(asked: Asked) -> Answer:
        errors = {"problem": problems.not_found("There is no such symbol."), "bug": RuntimeError("secret")}
        return Answer(pieces(int(asked.parameters.one("good")), errors[asked.parameters.one("error")]), 200, [TEXT])

    async def slow(_: Asked) -> Answer:
        async def never() -> AsyncIterator[bytes]:
            await asyncio.sleep(60)
            yield b""

        return Answer(never(), headers=[TEXT])

    operations = [
        Exchange("GET", "prices", serve, frozenset({"good", "error"}), capability="market"),
        Exchange("GET", "slow", slow, capability="market"),
    ]
    async with (
        edge_of(access_of(store), operations, timeout_s=1.0) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        missing = await client.get("/prices", params={"good": 0, "error": "problem"})
        failed = await client.get("/prices", params={"good": 0, "error": "bug"})
        late = await client.get("/slow")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/prices", params={"good": 2, "error": "bug"})
    assert (missing.status_code, failed.status_code, late.status_code) == (404, 500, 408)
    assert "secret" not in failed.text


async def test_a_body_in_pieces_is_read_as_it_comes_and_no_further_than_its_limit(store: Store) -> None:
    caller, seen = await store.account(), asyncio.Queue[int]()

    async def serve(asked: Asked) -> Answer:
        size = 0
        async for piece in asked.chunks(3_000_000):
            size += len(piece)
            seen.put_nowait(size)
        return Answer(str(size).encode(), 201, [TEXT])

    async def echo(asked: Asked) -> Answer:
        return Answer(asked.chunks(10_000_000), headers=[TEXT])

    operations = [
        Exchange("PUT", "upload", serve, capability="datasets"),
        Exchange("POST", "echo", echo, capability="datasets"),
    ]

    async def halves() -> AsyncIterator[bytes]:
        yield b"a" * 100
        async with asyncio.timeout(5):
            assert await seen.get() == 100
        yield b"b" * 1_000_000

    async def too_many() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"c" * 100_000

    async with (
        edge_of(access_of(store), operations) as edge,
        running(edge) as url,
        client_of(url, caller) as client,
    ):
        whole = await client.put("/upload", content=halves())
        large = await client.put("/upload", content=b"x" * 3_000_001)
        larger = await client.put("/upload", content=too_many())
        packed = await client.put("/upload", content=gzip.compress(b"x"), headers={"Content-Encoding": "gzip"})
        echoed = await client.post("/echo", content=too_many())
    assert (whole.status_code, whole.text) == (201, "1000100")
    assert [a.status_code for a in (large, larger, packed)] == [413, 413, 415]
    assert echoed.content == b"c" * 4_000_000


async def test_a_work_may_answer_in_a_form_of_its_own(store: Store) -> None:
    @dataclass(frozen=True, slots=True)
    class Known(Echo):
        def finish(self, result: Any) -> Rendered:  # type: ignore[override]
            headers = [(b"etag", b'"1"')]
            if result["etag"] == '"1"':
                return Rendered(b"", headers, 304)
            return Rendered(b"name\nrsi\n", [(b"content-type", b"text/csv"), *headers])

    def parse(asked: Parameters) -> Known:
        return Known({"etag": asked.headers.get(b"if-none-match", b"").decode()})

    caller = await store.account()
    query = Query("indicators/{name}", gate_of(store), parse, capability="indicators")
    async with edge_of(access_of(store), [query]) as edge, running(edge) as url, client_of(url, caller) as client:
        first = await client.get("/indicators/rsi")
        again = await client.get("/indicators/rsi", headers={"If-None-Match": '"1"'})
    assert (first.status_code, first.text, first.headers["content-type"]) == (200, "name\nrsi\n", "text/csv")
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"1"')
    assert "content-length" not in again.headers
    assert "ratelimit" in again.headers
