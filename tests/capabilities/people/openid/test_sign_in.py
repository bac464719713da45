"""Sign-in through a library's provider, in a process of its own, over real HTTP."""

from typing import Any

import httpx
from tests.capabilities.people.openid.people import Website, address

from luna_store.people.roles import Role


async def register(site: Website, subject: str, **claims: Any) -> None:
    """Make a person at the provider."""
    async with httpx.AsyncClient() as client:
        answer = await client.put(f"{site.honest}/users/{subject}", json=claims)
        answer.raise_for_status()


async def test_an_invited_person_signs_in_and_the_token_works(site: Website) -> None:
    email = address()
    account = await site.invite(email, Role.ADMIN)
    await register(site, email, email=email, email_verified=True)
    async with site.browser() as browser:
        answer = await browser.sign_in("honest", email)
        assert answer.status_code == 200, answer.text
        session = answer.json()
        assert (session["account_id"], session["role"], session["token_type"]) == (account, "admin", "bearer")
        me = await browser.client.get(
            f"{site.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {session['access_token']}"}
        )
    assert me.status_code == 200
    assert (me.json()["email"], me.json()["has_password"]) == (email, False)
