"""The kit of account-scoped routes, by a small application of its own on real stores."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.edge.running import access_of, as_it_is, edge_of, nobody, refused_of
from tests.store.stores import Caller, Store

from luna_serving.access.authorization import Authorization
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body
from luna_serving.edge.bodies import header_map
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.idempotency import WHAT, KeyHeader, once
from luna_serving.edge.openapi import refusals
from luna_serving.edge.operation import Answer, Asked, Exchange
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_store.accounts.api_keys import ApiKey
from luna_store.platform.idempotency import (
    Claim,
    ClaimLost,
    Creation,
    IdempotencyKeys,
    KeptAnswer,
    KeyReused,
    StillUnderWay,
)
from luna_store.quota.debits import StoreUnavailable

NUMBERS: Cursors[int] = Cursors("numbers", Annotated[int, Field(ge=0, le=1000, strict=True)])
JSON = (b"content-type", b"application/json")


class Numbers(BaseModel):
    """Whole numbers in their order."""

    numbers: list[int]
    next_cursor: str | None


class Taken(Exception):
    """A name that is there already."""


@dataclass
class Shop:
    """What the application does, and how often."""

    keys: IdempotencyKeys
    created: list[Any] = field(default_factory=list)
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    in_transaction: bool = False


def router(authorization: Authorization, shop: Shop, store: Store) -> APIRouter:
    routes = AccountRoutes(authorization, "shop", tags=["shop"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get("/numbers")
    async def numbers(own: Own, limit: Limit = PAGE, cursor: Cursor = None) -> Numbers:
        begin = NUMBERS.read(cursor) or 0
        found = list(range(begin + 1, 251))[: limit + 1]
        more = len(found) > limit
        return Numbers(numbers=found[:limit], next_cursor=NUMBERS.write(found[limit - 1]) if more else None)

    @routes.get("/whose")
    async def whose(own: Own) -> dict[str, int]:
        return {"account": own.account_id}

    @routes.get("/open")
    async def forgetful() -> dict[str, str]:
        return {"secret": "numbers"}

    @routes.get("/outage/{kind}")
    async def outage(own: Own, kind: str) -> None:
        async def fail() -> None:
            if kind == "slow":
                await asyncio.sleep(60)
            errors = {
                "sql": OperationalError("SELECT secret", {}, Exception()),
                "store": StoreUnavailable("Postgres", uncertain=True),
                "taken": Taken(),
                "bug": KeyError("secret"),
            }
            raise errors[kind]

        await store_answer(fail(), "The shop", {Taken: lambda _: problems.limit_reached("Taken.")})

    @routes.post("/things", status_code=201)
    async def create(request: Request, own: Own, idempotency_key: KeyHeader = None) -> Response:
        del idempotency_key  # read by `once`
        body = await json_body(request, limit=1000, seconds=5)

        async def make(claim: Claim | None) -> Answer:
            words = json.loads(body)
            if words.get("bad"):
                raise problems.limit_reached("Bad.")
            if words.get("slow"):
                await shop.slow.wait()
            shop.created.append(words)
            answer = Answer(b'{"id":%d}' % len(shop.created), 201, [JSON, (b"location", b"/things/1")])
            if shop.in_transaction and claim is not None:
                kept = KeptAnswer(
                    201, {"content-type": "application/json", "location": "/things/1"}, bytes(answer.body)
                )  # type: ignore[arg-type]
                async with store.engine.begin() as connection:
                    await connection.execute(text("SELECT 1"))
                    await shop.keys.keep(claim, kept, connection)
            return answer

        headers = header_map(request.scope)
        answer = await once(shop.keys, own.account_id, "POST things", headers, body, make)
        assert isinstance(answer.body, bytes)
        return Response(answer.body, answer.status, {n.decode(): v.decode() for n, v in answer.headers})

    return routes


@asynccontextmanager
async def shopping(store: Store, caller: Caller) -> AsyncIterator[tuple[Shop, httpx.AsyncClient]]:
    wired = access_of(store)
    refused = refused_of(wired)
    shop = Shop(IdempotencyKeys(store.engine))
    app: FastAPI = build_api([], [router(wired.authorization, shop, store)], refused.own_standing, refused.counted)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://luna/api/v1",
        headers={"X-API-Key": caller.key.secret},
    ) as client:
        yield shop, client


async def test_a_route_is_the_accounts_in_the_path_or_the_credentials(store: Store) -> None:
    ours, theirs = await store.account(), await store.account()
    async with shopping(store, ours) as (_, client):
        answers = {
            path: await client.get(path)
            for path in (
                "/whose",
                f"/{ours.account_id}/whose",
                f"/{theirs.account_id}/whose",
                "/99999999/whose",
                "/0/whose",
                "/9999999999/whose",
                "/acme/whose",
            )
        }
        stranger = await client.get("/whose", headers={"X-API-Key": ApiKey.issue().secret})
        nobody = await client.get("/0/whose", headers={"X-API-Key": ""})
    assert [a.status_code for a in answers.values()] == [200, 200, 403, 404, 404, 404, 404]
    assert [a.json() for a in list(answers.values())[:2]] == [{"account": ours.account_id}] * 2
    *of_the_kit, of_nothing = answers.values()
    assert all("ratelimit" in a.headers and "ratelimit-policy" in a.headers for a in of_the_kit)
    assert "ratelimit" in of_nothing.headers
    assert (stranger.status_code, nobody.status_code) == (401, 401)
    assert "ratelimit" not in stranger.headers


async def test_a_route_that_forgets_to_ask_for_its_owner_is_closed_all_the_same(store: Store) -> None:
    caller = await store.account()
    async with shopping(store, caller) as (_, client):
        ours = await client.get("/open")
        stranger = await client.get("/open", headers={"X-API-Key": ApiKey.issue().secret})
        unknown = await client.get("/open?x=1")
    assert [a.status_code for a in (ours, stranger, unknown)] == [200, 401, 422]
    assert "ratelimit" in ours.headers


async def test_a_list_is_read_in_pages_by_its_cursor(store: Store) -> None:
    caller = await store.account()
    async with shopping(store, caller) as (_, client):
        seen: list[int] = []
        query: dict[str, Any] = {}
        while True:
            page = (await client.get("/numbers", params=query)).json()
            seen += page["numbers"]
            if page["next_cursor"] is None:
                break
            query = {"cursor": page["next_cursor"]}
        short = (await client.get("/numbers", params={"limit": 250})).json()
        foreign = Cursors[int]("others", int).write(3)
        wrong = ["", "x", "!!!", "bnVsbA", NUMBERS.write(7)[:-2], foreign, Cursors[Any]("numbers", Any).write("7")]
        wrong += [Cursors[Any]("numbers", Any).write(1001), "a" * 513, "\u00e9", "W10", "MQ"]
        refused = [await client.get("/numbers", params={"cursor": cursor}) for cursor in wrong]
        limits = [await client.get("/numbers", params={"limit": limit}) for limit in (0, 1001, "x")]
        unknown = await client.get("/numbers?limt=3")
    assert seen == list(range(1, 251))
    assert (len(short["numbers"]), short["next_cursor"]) == (250, None)
    assert [(a.status_code, a.json()["errors"][0]["pointer"]) for a in refused] == [(422, "/query/cursor")] * len(wrong)
    assert [a.status_code for a in limits] == [422] * 3
    (error,) = unknown.json()["errors"]
    assert error == {
        "pointer": "/query/limt",
        "detail": "Is no query parameter of this route. Use limit, cursor.",
    }


@pytest.mark.parametrize(("kind", "status"), [("sql", 503), ("store", 503), ("taken", 409), ("bug", 500)])
async def test_a_stores_error_is_an_outage_unless_it_means_something(store: Store, kind: str, status: int) -> None:
    caller = await store.account()
    async with shopping(store, caller) as (_, client):
        answer = await client.get(f"/outage/{kind}")
    assert answer.status_code == status
    assert "secret" not in answer.text
    if status == 503:
        assert answer.headers["retry-after"] == "2"
        assert "The shop is out of reach" in answer.json()["detail"]


async def test_a_store_that_hangs_is_an_outage_in_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luna_serving.edge.store_answers.STORE_ANSWER_S", 0.05)
    caller = await store.account()
    async with shopping(store, caller) as (_, client):
        assert (await client.get("/outage/slow")).status_code == 503


async def test_the_same_key_creates_once_and_answers_the_same(store: Store) -> None:
    caller, other = await store.account(), await store.account()
    key = {"Idempotency-Key": "5f0c"}
    async with shopping(store, caller) as (shop, client):
        first = await client.post("/things", json={"a": 1}, headers=key)
        again = await client.post(f"/{caller.account_id}/things", json={"a": 1}, headers={"Idempotency-Key": '"5f0c"'})
        packed = await client.post(
            "/things",
            content=gzip.compress(first.request.content),
            headers={**key, "Content-Encoding": "gzip", "Content-Type": "application/json"},
        )
        reused = await client.post("/things", json={"a": 2}, headers=key)
        without = [await client.post("/things", json={"a": 1}) for _ in range(2)]
        theirs = await client.post("/things", json={"a": 1}, headers={**key, "X-API-Key": other.key.secret})
        bad = [
            await client.post("/things", json={}, headers={"Idempotency-Key": value})
            for value in ("", "a b", "x" * 256, '"')
        ]
    assert first.status_code == again.status_code == packed.status_code == 201
    assert first.content == again.content == packed.content == b'{"id":1}'
    for replayed in (again, packed):
        assert replayed.headers["location"] == first.headers["location"]
        assert replayed.headers["content-type"] == "application/json"
        assert replayed.headers["idempotency-replayed"] == "true"
        assert "ratelimit" in replayed.headers
    assert "idempotency-replayed" not in first.headers
    assert (reused.status_code, reused.json()["type"]) == (
        422,
        "https://luna.dev/problems/idempotency-key-reused",
    )
    assert [a.json()["id"] for a in (*without, theirs)] == [2, 3, 4]
    assert [a.status_code for a in bad] == [422] * 4
    assert len(shop.created) == 4


async def test_of_many_at_once_one_creates_and_the_others_wait_for_its_answer(store: Store) -> None:
    caller = await store.account()
    key = {"Idempotency-Key": "race"}
    async with shopping(store, caller) as (shop, client):
        calls = [asyncio.create_task(client.post("/things", json={"slow": 1}, headers=key)) for _ in range(12)]
        losers = []
        while len(losers) < 11:
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            losers += [task.result() for task in done]
            calls = [task for task in calls if task not in done]
        shop.slow.set()
        (winner,) = [await task for task in calls]
        later = await client.post("/things", json={"slow": 1}, headers=key)
    assert [(a.status_code, a.headers["retry-after"]) for a in losers] == [(409, "1")] * 11
    assert winner.status_code == later.status_code == 201
    assert later.content == winner.content
    assert len(shop.created) == 1


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_what_created_nothing_may_be_sent_again_with_its_key(store: Store, in_transaction: bool) -> None:
    caller = await store.account()
    key = {"Idempotency-Key": "k"}
    async with shopping(store, caller) as (shop, client):
        shop.in_transaction = in_transaction
        assert (await client.post("/things", json={"bad": 1}, headers=key)).status_code == 409
        assert (await client.post("/things", content=b"[", headers=key)).status_code == 500
        made = [await client.post("/things", json={"a": 1}, headers=key) for _ in range(2)]
    assert [(a.status_code, a.json()) for a in made] == [(201, {"id": 1})] * 2
    assert len(shop.created) == 1


async def test_an_exchange_creates_once_too(store: Store) -> None:
    caller, made = await store.account(), 0
    keys = IdempotencyKeys(store.engine)

    async def serve(asked: Asked) -> Answer:
        body = await asked.json()

        async def make(_: Claim | None) -> Answer:
            nonlocal made
            made += 1
            return Answer(b'{"made":%d}' % made, 202, [JSON])

        return await once(keys, asked.account_id, "POST jobs", asked.headers, body, make)

    async with (
        edge_of(access_of(store), [Exchange("POST", "jobs", serve, capability="jobs")]) as edge,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(edge),
            base_url="http://luna/api/v1",
            headers={"X-API-Key": caller.key.secret, "Idempotency-Key": "1"},
        ) as client,
    ):
        answers = [await client.post("/jobs", json={}) for _ in range(3)]
    assert [(a.status_code, a.json()) for a in answers] == [(202, {"made": 1})] * 3


ANSWER = KeptAnswer(201, {"location": "/x"}, b"\x00\xff")


async def test_a_claim_whose_holder_died_is_free_after_its_time_and_its_answer_is_not_kept(store: Store) -> None:
    caller = await store.account()
    keys = IdempotencyKeys(store.engine)
    creation = Creation(caller.account_id, "POST x", "k", b"1" * 32)
    first = await keys.claim(creation)
    assert isinstance(first, Claim)
    with pytest.raises(StillUnderWay):
        await keys.claim(creation)
    await store.execute("UPDATE idempotency_keys SET created_at = now() - interval '3 minutes'")
    with pytest.raises(KeyReused):
        await keys.claim(Creation(caller.account_id, "POST x", "k", b"2" * 32))
    second = await keys.claim(creation)
    assert isinstance(second, Claim)
    with pytest.raises(ClaimLost):
        await keys.keep(first, ANSWER)
    await keys.release(first)
    await keys.keep(second, ANSWER)
    await keys.release(second)
    assert await keys.claim(creation) == ANSWER


async def test_work_in_the_transaction_of_a_lost_claim_is_undone(store: Store) -> None:
    caller = await store.account()
    keys = IdempotencyKeys(store.engine, claim=timedelta(0))
    creation = Creation(caller.account_id, "POST x", "k", b"1" * 32)
    first, second = await keys.claim(creation), await keys.claim(creation)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    before = await store.scalar("SELECT display_name FROM accounts WHERE id = :id", id=caller.account_id)
    rename = text("UPDATE accounts SET display_name = 'late' WHERE id = :id")

    async def work() -> None:
        async with store.engine.begin() as connection:
            await connection.execute(rename, {"id": caller.account_id})
            await keys.keep(first, ANSWER, connection)

    with pytest.raises(ClaimLost):
        await work()
    assert await store.scalar("SELECT display_name FROM accounts WHERE id = :id", id=caller.account_id) == before


async def test_answers_are_kept_for_a_day(store: Store) -> None:
    caller = await store.account()
    keys = IdempotencyKeys(store.engine)
    old, new = (Creation(caller.account_id, "POST x", key, b"1" * 32) for key in ("old", "new"))
    for creation in (old, new):
        claim = await keys.claim(creation)
        assert isinstance(claim, Claim)
        await keys.keep(claim, ANSWER)
    age = "UPDATE idempotency_keys SET created_at = now() - :age * interval '1 hour' WHERE key = :key"
    await store.execute(age, age=23, key="new")
    await store.execute(age, age=25, key="old")
    assert isinstance(await keys.claim(old), Claim), "an answer that is too old is not given, swept or not"
    await store.execute(age, age=25, key="old")
    assert await keys.expire() == 1
    assert await keys.expire() == 0
    assert await keys.claim(new) == ANSWER


async def test_an_account_that_is_gone_keeps_no_key(store: Store) -> None:
    caller = await store.account()
    async with shopping(store, caller) as (shop, _):
        with pytest.raises(problems.Problem) as refused:
            await once(shop.keys, 99_999_999, "POST x", {b"idempotency-key": b"k"}, b"", _never)
    assert refused.value.status == 404


async def _never(_: Claim | None) -> Answer:
    raise AssertionError


async def test_the_document_shows_both_paths_of_a_route_and_its_refusals(store: Store) -> None:
    caller = await store.account()
    async with shopping(store, caller) as (_, client):
        document = (await client.get("http://luna/openapi.json")).json()
    paths = document["paths"]
    long, short = paths["/api/v1/{account_id}/numbers"]["get"], paths["/api/v1/numbers"]["get"]
    assert [p["name"] for p in long["parameters"] if p["in"] == "path"] == ["account_id"]
    assert {p["name"] for p in short["parameters"]} == {"limit", "cursor"}
    (header,) = [p for p in paths["/api/v1/things"]["post"]["parameters"] if p["in"] == "header"]
    assert (header["name"], header["description"]) == ("Idempotency-Key", WHAT)
    assert long["operationId"] != short["operationId"]
    for operation in (long, short):
        assert operation["security"] == [{"apiKey": []}, {"bearer": []}]
        assert set(operation["responses"]) == {"200", "401", "403", "404", "422", "429", "503"}


async def test_an_operation_that_would_hide_a_route_is_refused_at_the_start(store: Store) -> None:
    async def serve(_: Asked) -> Answer:
        raise AssertionError

    authorization = access_of(store).authorization
    hides = Exchange("POST", "numbers", serve, capability="x")
    with pytest.raises(ValueError, match="hide routers at /api/v1/numbers"):
        build_api([hides], [router(authorization, Shop(IdempotencyKeys(store.engine)), store)], nobody, as_it_is)


async def test_a_caller_who_hangs_up_within_its_body_gets_no_answer_and_nothing_is_created(store: Store) -> None:
    caller = await store.account()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async with shopping(store, caller) as (shop, client):
        app = client._transport.app  # type: ignore[attr-defined]
        headers = [(b"x-api-key", caller.key.secret.encode()), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/things",
            "raw_path": b"/api/v1/things",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [*headers, (b"content-length", b"100")],
            "state": {},
        }
        await app(scope, receive, send)
        assert shop.created == []
    assert sent[0]["status"] == 499
