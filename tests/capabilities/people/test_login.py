"""Sign-in with a password, over HTTP."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.serving.people import PASSWORD, People, bearer

from luna_store.people.roles import Role

if TYPE_CHECKING:
    from tests.serving.platform import Platform

LOGIN = {"access_token", "token_type", "expires_in", "refresh_token", "account_id", "role"}


async def test_a_password_gives_tokens_that_call(platform: Platform, people: People) -> None:
    account = await platform.caller()
    user = await people.member(account.id, role=Role.ADMIN)
    answer = await people.login(user)
    session = answer.json()
    assert session.keys() == LOGIN
    assert (session["account_id"], session["role"], session["token_type"]) == (account.id, "admin", "bearer")
    assert session["expires_in"] == 900
    assert answer.headers["cache-control"] == "no-store"
    called = await people.client.post(
        f"/api/v1/{account.id}/kalman", json={"results": [1.0, 2.0]}, headers=bearer(session)
    )
    assert called.status_code == 200
    assert platform.used(account.id) == 1


async def test_me_shows_the_person_and_all_accounts(platform: Platform, people: People) -> None:
    first, second = await platform.caller(), await platform.caller()
    user = await people.member(first.id)
    await people.give(second.id, user.email, Role.VIEWER)
    session = await people.signed_in(user, account_id=second.id)
    shown = (await people.me(session)).json()
    assert (shown["email"], shown["account_id"], shown["role"]) == (user.email, second.id, "viewer")
    assert [(own["account_id"], own["role"]) for own in shown["accounts"]] == [
        (first.id, "member"),
        (second.id, "viewer"),
    ]


async def test_me_shows_a_key_without_a_person(platform: Platform, people: People) -> None:
    account = await platform.caller()
    shown = (await people.client.get("/api/v1/auth/me", headers={"X-API-Key": account.key.secret})).json()
    assert (shown["account_id"], shown["role"], shown["key_prefix"]) == (account.id, "member", account.key.prefix)
    assert shown["email"] is None


async def test_the_address_is_compared_without_case(platform: Platform, people: People) -> None:
    user = await people.member((await platform.caller()).id)
    answer = await people.post("login", {"email": user.email.upper(), "password": PASSWORD})
    assert answer.status_code == 200


async def test_a_wrong_password_an_unknown_and_a_disabled_person_have_one_answer(
    platform: Platform, people: People
) -> None:
    account = await platform.caller()
    user, gone, keyless = [await people.member(account.id) for _ in range(3)]
    await people.users.set_disabled(gone.email, disabled=True)
    bodies = [
        {"email": user.email, "password": "wrong horse battery"},
        {"email": "nobody@people.test", "password": PASSWORD},
        {"email": gone.email, "password": PASSWORD},
        {"email": (await people.member(password_hash=None)).email, "password": "of nobody"},
        {"email": keyless.email, "password": ""},
    ]
    answers = [await people.post("login", body) for body in bodies[:4]]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert all("WWW-Authenticate" in answer.headers for answer in answers)
    assert (await people.post("login", bodies[4])).status_code == 422


async def test_an_unknown_person_takes_as_long_as_a_wrong_password(platform: Platform, people: People) -> None:
    """Measured where the hash is the platform's own: a person's was made under cheap parameters, and is renewed."""
    user = await people.member((await platform.caller()).id)
    await people.signed_in(user)
    known, unknown = [], []
    for i in range(12):
        for email, times in ((user.email, known), (f"nobody{i}@people.test", unknown)):
            client = people.elsewhere()
            begun = time.perf_counter()
            answer = await client.post("/api/v1/auth/login", json={"email": email, "password": "wrong horse"})
            times.append(time.perf_counter() - begun)
            assert answer.status_code == 401
    # A hash takes 50 ms or more; without one the answer takes a few. The machine is shared, so the bound is wide.
    assert statistics.median(unknown) > statistics.median(known) / 2
    assert statistics.median(known) > statistics.median(unknown) / 2


async def test_a_hash_of_earlier_parameters_is_renewed_at_sign_in(platform: Platform, people: People) -> None:
    user = await people.member((await platform.caller()).id)
    await people.signed_in(user)
    renewed = await people.users.get(user.id)
    assert renewed is not None
    assert renewed.password_hash is not None
    assert "m=65536,t=3,p=4" in renewed.password_hash
    await people.signed_in(user)


async def test_a_member_of_several_accounts_names_one(platform: Platform, people: People) -> None:
    accounts = [(await platform.caller()).id for _ in range(2)]
    user = await people.member(*accounts)
    unnamed = await people.login(user)
    assert unnamed.status_code == 422
    assert unnamed.json()["errors"][0]["pointer"] == "/account_id"
    assert all(str(account_id) in unnamed.json()["detail"] for account_id in accounts)
    assert (await people.signed_in(user, account_id=accounts[1]))["account_id"] == accounts[1]


async def test_only_members_sign_in_to_an_account(platform: Platform, people: People) -> None:
    account, other = await platform.caller(), await platform.caller()
    user, nobody = await people.member(account.id), await people.member()
    for answer in (await people.login(user, account_id=other.id), await people.login(nobody)):
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/no-membership")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"password": "x"}, "/email"),
        ({"email": "a@b.test"}, "/password"),
        ({"email": "no address", "password": "x"}, "/email"),
        ({"email": 7, "password": "x"}, "/email"),
        ({"email": "a@b.test", "password": "x" * 2000}, "/password"),
        ({"email": "a@b.test", "password": "x", "account_id": 0}, "/account_id"),
        ({"email": "a@b.test", "password": "x", "acount_id": 1}, "/acount_id"),
        ([], ""),
    ],
)
async def test_a_bad_body_is_named_by_its_field(people: People, body: object, pointer: str) -> None:
    answer = await people.post("login", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert "xxxx" not in answer.text


async def test_wrong_logins_from_one_address_reach_argon2_thirty_times_and_bother_nobody_else(
    platform: Platform, people: People
) -> None:
    """A thousand at once; each that is admitted waits its delay, so that the refused ones end first."""
    user = await people.member((await platform.caller()).id)
    await people.signed_in(user)
    address = people.elsewhere()
    attacker = people.elsewhere()
    attacker.timeout = httpx.Timeout(None)

    async def wrong(i: int) -> int:
        body = {"email": f"{user.id.hex[:6]}{i % 50}@people.test", "password": f"guess {i}"}
        return (await attacker.post("/api/v1/auth/login", json=body)).status_code

    attack = asyncio.gather(*(wrong(i) for i in range(1000)))
    await asyncio.sleep(0.3)
    begun = time.perf_counter()
    right = await address.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD})
    seconds = time.perf_counter() - begun
    statuses = await attack
    assert right.status_code == 200
    assert statuses.count(401) <= 30
    assert set(statuses) == {401, 429}
    # Alone it takes 0.2 s; the bound leaves room for what else runs on the machine of a test.
    assert seconds < 5
    refused = await attacker.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
