"""`GET /audit` on real stores: what an account's admins see of the audit log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.edge.running import access_of
from tests.store.stores import Caller, Store

from luna_serving.capabilities.account.audit.routes import router
from luna_serving.edge.fastapi_app import build_api


@asynccontextmanager
async def client_of(store: Store, caller: Caller) -> AsyncIterator[httpx.AsyncClient]:
    authorization = access_of(store).authorization
    app: FastAPI = build_api([], [router(authorization, store.engine)], authorization.own_standing)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://luna/api/v1",
        headers={"X-API-Key": caller.key.secret},
    ) as client:
        yield client


async def items(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_an_account_sees_its_own_changes_the_newest_first(store: Store) -> None:
    ours, theirs = await store.account(), await store.account()
    await store.accounts.update(ours.account_id, quota_limit=7)
    await store.accounts.update(theirs.account_id, quota_limit=8)
    async with client_of(store, ours) as client:
        seen = await items(client)
        elsewhere = await client.get(f"/{theirs.account_id}/audit")
    assert [(e["action"], e["actor"]) for e in seen] == [
        ("account.limits", "luna"),
        ("key.issued", "luna"),
        ("account.created", "luna"),
    ]
    newest = seen[0]
    assert newest.keys() == {"at", "actor", "action", "subject", "before", "after", "request_id"}
    assert (newest["before"], newest["after"]) == ({"quota_limit": 500}, {"quota_limit": 7})
    assert datetime.fromisoformat(newest["at"]).tzinfo is not None
    assert seen[1]["subject"] == ours.key.prefix
    assert elsewhere.status_code == 403


async def test_entries_are_filtered_and_read_in_pages(store: Store) -> None:
    caller = await store.account()
    for limit in range(1, 8):
        await store.accounts.update(caller.account_id, quota_limit=limit)
    async with client_of(store, caller) as client:
        assert [e["action"] for e in await items(client, action="key")] == ["key.issued"]
        assert [e["action"] for e in await items(client, action="account.created")] == ["account.created"]
        assert await items(client, action="kez") == []
        assert len(await items(client, subject=caller.key.prefix)) == 1
        assert len(await items(client, actor="luna", limit=2)) == 2
        assert await items(client, actor="user:none") == []
        everything = await items(client)
        middle = everything[4]["at"]
        assert await items(client, since=middle) == everything[:5]
        assert await items(client, until=middle) == everything[5:]
        paged, cursor = [], {}
        while True:
            page = (await client.get("/audit", params={"limit": 2, **cursor})).json()
            paged += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert paged == everything
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        assert await items(client, since=tomorrow) == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "yesterday"}, "/query/since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "/query/until"),
        ({"action": "Key"}, "/query/action"),
        ({"actor": "a\x00b"}, "/query/actor"),
        ({"subject": ""}, "/query/subject"),
        ({"subject": "x" * 321}, "/query/subject"),
        ({"limit": 0}, "/query/limit"),
        ({"cursor": "bm9uc2Vuc2U"}, "/query/cursor"),
        ({"who": "me"}, "/query/who"),
    ],
)
async def test_a_wrong_parameter_is_refused_at_its_name(store: Store, query: dict[str, Any], pointer: str) -> None:
    caller = await store.account()
    async with client_of(store, caller) as client:
        answer = await client.get("/audit", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
