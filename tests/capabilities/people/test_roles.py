"""Roles: every route of the document against every role, over HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from tests.serving.people import People, bearer

from luna_store.people.memberships import Source
from luna_store.people.roles import Role

if TYPE_CHECKING:
    from tests.serving.platform import Platform

METHODS = ("get", "put", "post", "patch", "delete")


def of_accounts(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Method, path and least role of every route of an account."""
    return [
        (method.upper(), path, operation["x-luna-role"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS and "x-luna-role" in operation
    ]


async def document_of(people: People) -> dict[str, Any]:
    document: dict[str, Any] = (await people.client.get("/openapi.json")).json()
    return document


async def test_every_route_with_credentials_names_its_role(people: People) -> None:
    document = await document_of(people)
    unnamed = [
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "security" in operation and "x-luna-role" not in operation and not path.startswith("/api/v1/auth/")
    ]
    assert unnamed == []
    assert len(of_accounts(document)) >= 30


async def test_each_role_is_refused_exactly_what_is_above_it(platform: Platform, people: People) -> None:
    account = await platform.caller()
    sessions = {
        role: await people.signed_in(await people.member(account.id, role=role)) for role in (Role.VIEWER, Role.MEMBER)
    }
    wrong = []
    for method, path, least in of_accounts(await document_of(people)):
        for role, session in sessions.items():
            status, body = await call(people, method, path.replace("{account_id}", str(account.id)), session)
            refused = status == 403 and orjson.loads(body)["type"].endswith("/role")
            if refused is not (role < Role.of(least)):
                wrong.append((method, path, role.word, status))
    assert wrong == []
    assert platform.used(account.id) == 0


async def call(people: People, method: str, path: str, session: dict[str, Any]) -> tuple[int, bytes]:
    # A name that nothing has, and no body: who may, gets a 404 or a 422, and nothing is charged or changed.
    filled = re.sub(r"\{\w+\}", "none", path)
    async with people.client.stream(method, filled, headers=bearer(session)) as answer:
        # A stream of events has no end.
        return answer.status_code, b"" if answer.is_success else await answer.aread()


async def test_a_key_acts_as_a_member(platform: Platform, people: People) -> None:
    account = await platform.caller()
    keyed = {"X-API-Key": account.key.secret}
    document = await document_of(people)
    # Rules of alerts are kept by programs, too: keys may write them.
    by_keys = {(m.upper(), p) for p, of in document["paths"].items() for m, each in of.items() if "x-luna-keys" in each}
    needs_admin = [(m, p) for m, p, least in of_accounts(document) if least == "admin" and (m, p) not in by_keys]
    assert {p.rpartition("/alerts/")[2].partition("/")[0] for _, p in by_keys} <= {"rules", "silences", "resolve"}
    for method, path in needs_admin:
        filled = re.sub(r"\{\w+\}", "none", path.replace("{account_id}", str(account.id)))
        answer = await people.client.request(method, filled, headers=keyed)
        assert answer.status_code == 403
        assert answer.json()["needed"] == "admin"
        assert "login" in answer.json()["detail"]


async def test_the_greatest_role_of_all_sources_counts(platform: Platform, people: People) -> None:
    account = await platform.caller()
    user = await people.member(account.id, role=Role.VIEWER)
    await people.give(account.id, user.email, Role.ADMIN, source=Source.RESOURCE)
    assert (await people.signed_in(user))["role"] == "admin"
    await people.remove(account.id, user.email, source=Source.RESOURCE)
    assert (await people.signed_in(user))["role"] == "viewer"


async def test_a_token_of_one_account_is_refused_by_another(platform: Platform, people: People) -> None:
    account, other = await platform.caller(), await platform.caller()
    user = await people.member(account.id, other.id)
    session = await people.signed_in(user, account_id=account.id)
    answer = await people.client.get(f"/api/v1/{other.id}", headers=bearer(session))
    assert answer.status_code == 403
