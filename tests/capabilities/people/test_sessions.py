"""Sessions over HTTP: rotation, reuse, and how fast an end takes effect."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.serving.people import PASSWORD, People, bearer

from luna_store.people.memberships import Source
from luna_store.people.roles import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.serving.platform import Caller, Platform

# The contract's bound for an end to take effect.
EFFECT_S = 5.0


async def begun(platform: Platform, people: People, role: Role = Role.MEMBER) -> tuple[Caller, Any, dict[str, Any]]:
    account = await platform.caller()
    user = await people.member(account.id, role=role)
    return account, user, await people.signed_in(user)


async def test_a_refresh_token_works_once_and_gives_the_next(platform: Platform, people: People) -> None:
    _, _, session = await begun(platform, people)
    following = (await people.refresh(session["refresh_token"])).json()
    assert following.keys() == session.keys()
    assert following["refresh_token"] != session["refresh_token"]
    assert (await people.me(following)).status_code == 200
    assert (await people.refresh(following["refresh_token"])).status_code == 200


async def test_a_refresh_token_used_twice_ends_its_session_and_its_access_tokens(
    platform: Platform, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    _, user, session = await begun(platform, people)
    other = await people.signed_in(user)
    following = (await people.refresh(session["refresh_token"])).json()
    assert (await people.refresh(session["refresh_token"])).status_code == 401
    assert (await people.refresh(following["refresh_token"])).status_code == 401
    for ended in (session, following):
        assert (await people.me(ended)).status_code == 401
    # Another sign-in of the same person is another family.
    assert (await people.me(other)).status_code == 200


async def test_two_that_use_one_refresh_token_at_once_do_not_both_get_one(platform: Platform, people: People) -> None:
    _, _, session = await begun(platform, people)
    answers = await asyncio.gather(*(people.refresh(session["refresh_token"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers)[:2] in ([200, 401], [401, 401])
    assert (await people.me(session)).status_code == 401


async def test_logout_ends_the_session_and_its_access_token(platform: Platform, people: People) -> None:
    _, _, session = await begun(platform, people)
    body = {"refresh_token": session["refresh_token"]}
    assert (await people.post("logout", body)).status_code == 204
    assert (await people.me(session)).status_code == 401
    assert (await people.refresh(session["refresh_token"])).status_code == 401
    assert (await people.post("logout", body)).status_code == 204
    assert (await people.post("logout", {"refresh_token": "luna_refresh_unknown"})).status_code == 204


async def suspend(platform: Platform, people: People, account: int, user: Any) -> None:
    await platform.change(account, state="suspended")


async def remove_member(platform: Platform, people: People, account: int, user: Any) -> None:
    await people.remove(account, user.email)


async def disable(platform: Platform, people: People, account: int, user: Any) -> None:
    for each in await people.users.set_disabled(user.email, disabled=True):
        await people.cache.rebuild(each)


async def remove_in_sql_alone(platform: Platform, people: People, account: int, user: Any) -> None:
    """As the operator commits it before Redis hears of it; settlement carries it over."""
    await people.memberships.remove(account, user.email, source=Source.COMMAND)


@pytest.mark.parametrize(
    ("end", "status"),
    [(suspend, 403), (remove_member, 401), (disable, 401), (remove_in_sql_alone, 401)],
)
async def test_an_access_token_stops_within_five_seconds_of(
    platform: Platform,
    people: People,
    end: Callable[[Platform, People, int, Any], Awaitable[None]],
    status: int,
) -> None:
    account, user, session = await begun(platform, people)
    await end(platform, people, account.id, user)
    changed = time.monotonic()
    while (found := (await people.me(session)).status_code) == 200:
        assert time.monotonic() - changed < EFFECT_S
        await asyncio.sleep(0.05)
    assert found == status
    called = await people.client.post("/api/v1/kalman", json={"results": [1.0]}, headers=bearer(session))
    assert called.status_code == status
    assert (await people.refresh(session["refresh_token"])).status_code == status
    assert platform.used(account.id) == 0


async def test_a_suspended_accounts_refresh_token_works_when_it_is_resumed(platform: Platform, people: People) -> None:
    account, _, session = await begun(platform, people)
    await platform.change(account.id, state="suspended")
    assert (await people.refresh(session["refresh_token"])).status_code == 403
    await platform.change(account.id, state="active")
    assert (await people.refresh(session["refresh_token"])).status_code == 200


async def test_a_changed_role_ends_access_tokens_and_the_next_refresh_has_the_new_one(
    platform: Platform, people: People
) -> None:
    account, user, session = await begun(platform, people, Role.ADMIN)
    await people.give(account.id, user.email, Role.VIEWER)
    assert (await people.me(session)).status_code == 401
    following = (await people.refresh(session["refresh_token"])).json()
    assert following["role"] == "viewer"
    assert (await people.me(following)).json()["role"] == "viewer"


async def test_a_new_password_ends_the_other_sessions(platform: Platform, people: People) -> None:
    _, user, session = await begun(platform, people)
    other = await people.signed_in(user)
    change = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert (await people.post("password", change, **bearer(session))).status_code == 204
    assert (await people.me(session)).status_code == 200
    assert (await people.refresh(session["refresh_token"])).status_code == 200
    assert (await people.me(other)).status_code == 401
    assert (await people.refresh(other["refresh_token"])).status_code == 401
    assert (await people.login(user)).status_code == 401
    again = await people.post("login", {"email": user.email, "password": "another horse battery"})
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"current_password": "wrong horse", "new_password": "another horse battery"}, "/current_password"),
        ({"current_password": PASSWORD, "new_password": "short"}, "/new_password"),
        ({"current_password": PASSWORD, "new_password": "aaaaaaaaaaaa"}, "/new_password"),
        ({"current_password": PASSWORD, "new_password": "x" * 1025}, "/new_password"),
        ({"new_password": "another horse battery"}, "/current_password"),
    ],
)
async def test_a_refused_password_changes_nothing(
    platform: Platform, people: People, change: dict[str, str], pointer: str
) -> None:
    _, user, session = await begun(platform, people)
    answer = await people.post("password", change, **bearer(session))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await people.login(user)).status_code == 200


async def test_a_key_has_no_password_to_change(platform: Platform, people: People) -> None:
    account = await platform.caller()
    change = {"current_password": PASSWORD, "new_password": "another horse battery"}
    answer = await people.post("password", change, **{"X-API-Key": account.key.secret})
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/person-needed")


async def test_the_oldest_of_many_sessions_ends(platform: Platform, people: People) -> None:
    _, user, first = await begun(platform, people)
    for _ in range(20):
        last = await people.signed_in(user)
    assert (await people.me(first)).status_code == 401
    assert (await people.me(last)).status_code == 200


async def test_an_unused_refresh_token_expires(platform: Platform, people: People) -> None:
    _, user, session = await begun(platform, people)
    with psycopg.connect(platform.database_url) as sql:
        sql.execute(
            "UPDATE refresh_tokens SET expires_at = now() - %s WHERE session_id IN"
            " (SELECT id FROM sessions WHERE user_id = %s)",
            [timedelta(seconds=1), user.id],
        )
    assert (await people.refresh(session["refresh_token"])).status_code == 401


async def test_a_session_that_redis_lost_is_found_in_postgres(platform: Platform, people: People) -> None:
    account, _, session = await begun(platform, people)
    redis = people.cache._redis
    fields = await redis.hkeys(f"account:{{{account.id}}}")
    await redis.hdel(f"account:{{{account.id}}}", *(name for name in fields if "session:" in name))
    assert (await people.me(session)).status_code == 200
