"""Links with which a person sets a password."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.serving.people import People

from luna_store.people.roles import Role

if TYPE_CHECKING:
    from tests.serving.platform import Platform

WEEK = timedelta(days=7)
NEW = "another horse battery"


async def test_an_invited_person_sets_a_password_and_signs_in(platform: Platform, people: People) -> None:
    account = await platform.caller()
    email = f"invited{account.id}@people.test"
    await people.give(account.id, email, Role.VIEWER)
    token = await people.links.make(email, WEEK)
    assert (await people.post("password/link", {"token": token, "new_password": NEW})).status_code == 204
    session = (await people.post("login", {"email": email, "password": NEW})).json()
    assert (session["account_id"], session["role"]) == (account.id, "viewer")


async def test_a_link_works_once_even_at_once(platform: Platform, people: People) -> None:
    user = await people.member((await platform.caller()).id)
    token = await people.links.make(user.email, WEEK)
    bodies = [{"token": token, "new_password": f"{NEW} {i}"} for i in range(4)]
    statuses = sorted(r.status_code for r in await asyncio.gather(*(people.post("password/link", b) for b in bodies)))
    assert statuses == [204, 401, 401, 401]


async def test_a_link_ends_the_sessions_of_its_person(platform: Platform, people: People) -> None:
    user = await people.member((await platform.caller()).id)
    session = await people.signed_in(user)
    token = await people.links.make(user.email, WEEK)
    assert (await people.post("password/link", {"token": token, "new_password": NEW})).status_code == 204
    assert (await people.me(session)).status_code == 401


async def test_expired_replaced_and_unknown_links_are_refused_alike(people: People) -> None:
    user = await people.member()
    expired = await people.links.make(user.email, timedelta(0))
    replaced = await people.links.make(user.email, WEEK)
    await people.links.make(user.email, WEEK)
    answers = [
        await people.post("password/link", {"token": token, "new_password": NEW})
        for token in (expired, replaced, "luna_link_unknown")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_an_unfit_password_leaves_the_link_open(people: People) -> None:
    token = await people.links.make("open@people.test", WEEK)
    short = await people.post("password/link", {"token": token, "new_password": "short"})
    assert short.status_code == 422
    assert short.json()["errors"][0]["pointer"] == "/new_password"
    assert (await people.post("password/link", {"token": token, "new_password": NEW})).status_code == 204


async def test_the_page_of_a_link_is_served(people: People) -> None:
    page = await people.client.get("/set-password")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "luna_link_" not in page.text
