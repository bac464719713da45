"""The keys of an account over HTTP, on real stores."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.capabilities.people.signed_in import house, refusal
from tests.store.stores import Store

from luna_store.accounts import own_keys

ADMIN = ("ada@example.com", "admin")


async def works(client: httpx.AsyncClient) -> bool:
    async with client:
        answer = await client.get("/account")
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


async def test_an_admin_issues_a_key_which_is_shown_once(store: Store) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        answer = await ada.post("/keys", json={})
        assert answer.status_code == 201, answer.text
        assert answer.headers["cache-control"] == "no-store"
        issued = answer.json()
        key = issued.pop("key")
        assert key.startswith(issued["prefix"])
        assert (issued["state"], issued["expires_at"]) == ("Active", None)
        assert await works(home.machine(key))
        listed = (await ada.get("/keys")).json()["items"]
        assert listed[0] == issued
        assert key not in (await ada.get("/keys")).text
        # The key before works for another day.
        assert listed[1]["state"] == "Retiring"
        overlap = datetime.fromisoformat(listed[1]["expires_at"]) - datetime.fromisoformat(issued["created_at"])
        assert overlap == timedelta(days=1)
        assert await works(home.machine())


async def test_without_an_overlap_the_earlier_keys_end_at_once(store: Store) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        assert await works(home.machine())
        key = (await ada.post("/keys", json={"overlap_s": 0})).json()["key"]
        assert not await works(home.machine())
        assert await works(home.machine(key))
        assert len((await ada.get("/keys")).json()["items"]) == 1


async def test_a_key_that_is_ended_is_refused_by_the_next_call(store: Store) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        prefix = home.account.key.prefix
        assert await works(home.machine())
        ended = await ada.delete(f"/keys/{prefix}")
        assert (ended.status_code, ended.content) == (204, b"")
        assert not await works(home.machine())
        status, slug, detail = refusal(await ada.delete(f"/keys/{prefix}"))
        assert (status, slug) == (404, "not-found")
        assert prefix in detail
        assert (await ada.get("/keys")).json() == {"items": []}


async def test_a_key_of_another_account_is_not_found_and_stays(store: Store) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        other = await store.account()
        assert refusal(await ada.delete(f"/keys/{other.key.prefix}"))[:2] == (404, "not-found")
        assert await works(home.machine(other.key.secret))
        assert refusal(await ada.delete("/keys/luna_%00"))[:2] == (404, "not-found")


@pytest.mark.parametrize("role", ["viewer", "member", "key"])
async def test_only_an_admin_changes_keys_and_everyone_sees_their_prefixes(store: Store, role: str) -> None:
    async with house(store) as home:
        client = home.machine() if role == "key" else await home.person("alan@example.com", role)
        async with client:
            before = (await client.get("/keys")).json()
            assert [key["prefix"] for key in before["items"]] == [home.account.key.prefix]
            end = await client.delete(f"/keys/{home.account.key.prefix}")
            for answer in (await client.post("/keys", json={}), end):
                assert refusal(answer)[:2] == (403, "role")
            assert (await client.get("/keys")).json() == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"overlap_s": -1}, "/overlap_s"),
        ({"overlap_s": 31_536_001}, "/overlap_s"),
        ({"overlap_s": "1h"}, "/overlap_s"),
        ({"overlap": 3}, "/overlap"),
        ([], ""),
    ],
    ids=str,
)
async def test_a_bad_overlap_is_refused_at_its_field_and_issues_nothing(store: Store, body: Any, pointer: str) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        answer = await ada.post("/keys", json=body)
        assert refusal(answer)[:2] == (422, "invalid")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert len((await ada.get("/keys")).json()["items"]) == 1


async def test_a_call_that_is_sent_twice_issues_one_key_and_shows_it_once(store: Store) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        once = {"Idempotency-Key": "rotation-7"}
        first = await ada.post("/keys", json={"overlap_s": 60}, headers=once)
        again = await ada.post("/keys", json={"overlap_s": 60}, headers=once)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json() | {"key": None}
        assert len((await ada.get("/keys")).json()["items"]) == 2
        other = await ada.post("/keys", json={"overlap_s": 61}, headers=once)
        assert refusal(other)[:2] == (422, "idempotency-key-reused")
        # Postgres holds no key, not even in an answer that it keeps.
        key = first.json()["key"]
        kept = await store.scalar("SELECT string_agg(convert_from(body, 'utf8'), '') FROM idempotency_keys")
        assert first.json()["prefix"] in str(kept)
        assert key not in str(kept)


async def test_calls_with_one_idempotency_key_at_once_issue_one_key(store: Store) -> None:
    async with house(store) as home, await home.person(*ADMIN) as ada:
        once = {"Idempotency-Key": str(uuid.uuid4())}
        answers = await asyncio.gather(*(ada.post("/keys", json={}, headers=once) for _ in range(8)))
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {201, 409}
        keys = [answer.json()["key"] for answer in answers if answer.status_code == 201]
        assert len([key for key in keys if key]) == 1
        assert len((await ada.get("/keys")).json()["items"]) == 2


async def test_the_keys_of_a_custom_resource_are_issued_by_the_operator_and_ended_by_anyone(store: Store) -> None:
    async with house(store, uid=uuid.uuid4()) as home, await home.person(*ADMIN) as ada:
        status, slug, detail = refusal(await ada.post("/keys", json={}, headers={"Idempotency-Key": "a"}))
        assert (status, slug) == (409, "managed")
        assert "spec.apiKey.rotationRequestedAt" in detail
        assert len((await ada.get("/keys")).json()["items"]) == 1
        # A refusal is not kept under the key.
        assert refusal(await ada.post("/keys", json={}, headers={"Idempotency-Key": "a"}))[:2] == (409, "managed")
        assert (await ada.delete(f"/keys/{home.account.key.prefix}")).status_code == 204
        assert not await works(home.machine())


async def test_an_account_has_so_many_valid_keys_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_keys, "MOST_KEYS", 3)
    async with house(store) as home, await home.person(*ADMIN) as ada:
        assert [(await ada.post("/keys", json={})).status_code for _ in range(2)] == [201, 201]
        before = (await ada.get("/keys")).json()
        status, slug, detail = refusal(await ada.post("/keys", json={}))
        assert (status, slug) == (409, "limit-reached")
        assert "End one first" in detail
        # Neither did the earlier keys begin to end.
        assert (await ada.get("/keys")).json() == before
        assert (await ada.post("/keys", json={"overlap_s": 0})).status_code == 201
