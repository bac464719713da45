"""`GET /audit` on real stores: what an account's admins see of the audit log."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from tests.capabilities.people.signed_in import house
from tests.edge.running import TOKENS, access_of, refused_of
from tests.serving.platform import Platform
from tests.store.stores import Caller, Store

from luna_serving.access.people.passwords import Passwords
from luna_serving.access.tokens import Token
from luna_serving.capabilities.account.audit.routes import router
from luna_serving.edge.fastapi_app import build_api
from luna_serving.settings import Argon2Settings
from luna_store.audit.log import Wanted, page
from luna_store.people.memberships import Memberships, Source
from luna_store.people.roles import Role
from luna_store.people.sessions import Sessions
from luna_store.people.users import Users
from luna_store.platform.postgres import async_engine


async def session_of(store: Store, account_id: int, role: Role) -> str:
    """An access token of a person with this role."""
    email = f"{secrets.token_hex(4)}@example.com"
    user = await Users(store.engine).create(email, None)
    await Memberships(store.engine).put(account_id, email, role, Source.COMMAND)
    month = timedelta(days=30)
    sessions = Sessions(store.engine, lifetime=month, refresh_lifetime=month, most_per_person=5)
    session, _ = await sessions.begin(user.id, account_id)
    await store.cache.rebuild(account_id)
    return TOKENS.issue(Token(account_id, session.principal(role), role, user.id))


@asynccontextmanager
async def client_of(store: Store, caller: Caller, role: Role = Role.ADMIN) -> AsyncIterator[httpx.AsyncClient]:
    token = await session_of(store, caller.account_id, role)
    wired = access_of(store)
    refused = refused_of(wired)
    routes = router(wired.authorization, store.engine)
    app: FastAPI = build_api([], [routes], refused.own_standing, refused.counted)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://luna/api/v1",
        headers={"Authorization": f"Bearer {token}"},
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
        member, *seen = await items(client)
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
    assert (member["action"], member["before"]) == ("member.added", None)
    assert member["after"] == {"source": "command", "role": "admin"}


async def test_only_an_admin_reads_the_log(store: Store) -> None:
    caller = await store.account()
    answers = {}
    for role in (Role.VIEWER, Role.MEMBER):
        async with client_of(store, caller, role) as client:
            answers[role.word] = await client.get("/audit")
            answers["key"] = await client.get(
                "/audit", headers={"X-API-Key": caller.key.secret, "Authorization": "none"}
            )
    assert [a.status_code for a in answers.values()] == [403] * 3
    assert all(a.json()["type"] == "https://luna.dev/problems/role" for a in answers.values())


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
        assert len(everything) == 10
        middle = everything[4]["at"]
        assert await items(client, since=middle) == everything[:5]
        assert await items(client, until=middle) == everything[5:]
        paged, cursor = [], {}
        while True:
            answer = (await client.get("/audit", params={"limit": 2, **cursor})).json()
            paged += answer["items"]
            if answer["next_cursor"] is None:
                break
            cursor = {"cursor": answer["next_cursor"]}
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


async def test_members_and_keys_that_an_admin_changes_show_the_admin_and_the_request(store: Store) -> None:
    async with house(store) as home, await home.person("ann@example.com", "admin") as ann:
        answers = [
            await ann.put("/members/bob@example.com", json={"role": "viewer"}, headers={"X-Request-ID": "r1"}),
            await ann.put("/members/bob@example.com", json={"role": "member"}, headers={"X-Request-ID": "r2"}),
            await ann.delete("/members/bob@example.com", headers={"X-Request-ID": "r3"}),
            issued := await ann.post("/keys", json={"overlap_s": 60}, headers={"X-Request-ID": "r4"}),
            await ann.delete(f"/keys/{issued.json()['prefix']}", headers={"X-Request-ID": "r5"}),
        ]
        assert [a.status_code for a in answers] == [201, 200, 204, 201, 204]
        who = (await Users(store.engine).find("ann@example.com")).id
        found = await page(store.engine, Wanted(account_id=home.account.account_id, actor=f"user:{who}"), limit=99)
    assert [(e.action, e.subject, e.request_id) for e in found[::-1]] == [
        ("member.added", "bob@example.com", "r1"),
        ("member.role", "bob@example.com", "r2"),
        ("member.removed", "bob@example.com", "r3"),
        ("key.retiring", home.account.key.prefix, "r4"),
        ("key.issued", issued.json()["prefix"], "r4"),
        ("key.revoked", issued.json()["prefix"], "r5"),
    ]
    assert issued.json()["key"] not in str(found)


async def test_over_http_an_admin_sees_who_put_a_model_and_in_which_request(platform: Platform) -> None:
    caller = await platform.caller()
    email, password = f"{secrets.token_hex(4)}@example.com", secrets.token_hex(12)
    engine = async_engine(platform.database_url, actor="command:tests")
    hashed = await Passwords(Argon2Settings(memory_kib=8192, passes=1, lanes=1)).hash(password, email)
    user = await Users(engine).create(email, hashed)
    await Memberships(engine).put(caller.id, email, Role.ADMIN, Source.COMMAND)
    await engine.dispose()
    model = {"kind": "local_level", "obs_var": 1.0, "level_var": 1.0}
    async with caller.client() as client:
        assert (await client.put("/models/demand", json=model)).status_code == 201
        assert (await client.get("/audit")).status_code == 403
    async with httpx.AsyncClient(base_url=caller.url, timeout=60) as client:
        signed_in = await client.post(f"{platform.url}/api/v1/auth/login", json={"email": email, "password": password})
        assert signed_in.status_code == 200, signed_in.text
        client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        removed = await client.delete("/models/demand", headers={"X-Request-ID": "audit-test-1"})
        changed = await client.post(
            f"{platform.url}/api/v1/auth/password",
            json={"current_password": password, "new_password": secrets.token_hex(12)},
        )
        seen = (await client.get("/audit")).json()["items"]
    assert (removed.status_code, changed.status_code) == (204, 204)
    assert [(e["action"], e["actor"]) for e in seen] == [
        ("model.deleted", f"user:{user.id}"),
        ("model.created", f"key:{caller.key.prefix}"),
        ("member.added", "command:tests"),
        ("key.issued", "luna"),
        ("account.created", "luna"),
    ]
    assert seen[0]["request_id"] == "audit-test-1"
    assert seen[1]["request_id"]
    with psycopg.connect(platform.database_url) as sql:
        mine = sql.execute("SELECT action, actor FROM audit_log WHERE subject = %s ORDER BY at", [email]).fetchall()
        whole = str(sql.execute("SELECT * FROM audit_log").fetchall())
    assert mine == [
        ("user.created", "command:tests"),
        ("member.added", "command:tests"),
        ("user.password-rehashed", "serving"),
        ("user.password-changed", f"user:{user.id}"),
    ]
    assert not [secret for secret in (password, hashed, "argon2", caller.key.secret[14:]) if secret in whole]
