"""Sign-in through a library's provider, in a process of its own, over real HTTP."""

from typing import Any

import httpx
from tests.capabilities.people.openid.conftest import OTHER, TEAM
from tests.capabilities.people.openid.people import Website, address

from luna_serving.capabilities.people.openid.wire import cookie_header
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


async def invited(site: Website, **claims: Any) -> str:
    """A person with a membership and a verified address at the provider."""
    email = address()
    await site.invite(email)
    await register(site, email, **{"email": email, "email_verified": True} | claims)
    return email


def refused(answer: httpx.Response, slug: str, status: int = 403) -> bool:
    assert (answer.status_code, answer.json()["type"]) == (status, f"https://luna.dev/problems/{slug}"), answer.text
    return True


async def test_providers_are_listed_with_the_place_to_begin(site: Website) -> None:
    async with site.browser() as browser:
        answer = await browser.client.get(f"{site.url}/api/v1/auth/providers")
        listed = {each["name"]: each for each in answer.json()["providers"]}
        assert listed["honest"]["label"] == "The honest one"
        assert (await browser.client.get(listed["honest"]["login_url"])).status_code == 302
        assert refused(await browser.begin("nobody"), "not-found", 404)
        assert refused(await browser.begin("honest", acount_id=1), "invalid", 422)


async def test_the_cookie_is_for_this_browser_and_this_sign_in_alone(site: Website) -> None:
    async with site.browser() as browser:
        answer = await browser.begin("honest")
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("luna-oidc-")
    assert {"HttpOnly", "SameSite=Lax", "Path=/api/v1/auth/oidc/", "Max-Age=600"} == set(attributes)
    assert answer.headers["cache-control"] == "no-store"


def test_with_https_no_other_host_can_set_the_cookie() -> None:
    assert cookie_header("__Host-x", "v", secure=True) == (
        "__Host-x=v; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


async def test_a_state_works_once(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        callback = await browser.consent(await browser.asked("honest"), email)
        cookies = dict(browser.client.cookies)
        answer = await browser.open(callback)
        assert answer.status_code == 200
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert refused(await browser.open(callback), "sign-in-state")
        browser.client.cookies.update(cookies)
        assert refused(await browser.open(callback), "sign-in-state"), "with its cookie, too"


async def test_a_code_works_once(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        callback = await browser.consent(await browser.asked("honest"), email)
        assert (await browser.open(callback)).status_code == 200
        code = httpx.URL(callback).params["code"]
        second = httpx.URL(await browser.consent(await browser.asked("honest"), email))
        assert refused(await browser.open(str(second.copy_set_param("code", code))), "identity-refused")


async def test_a_callback_in_another_browser_is_refused_and_its_owner_can_still_use_it(site: Website) -> None:
    """Otherwise a link could sign somebody in as its sender."""
    email = await invited(site)
    async with site.browser() as attacker, site.browser() as victim:
        callback = await attacker.consent(await attacker.asked("honest"), email)
        assert refused(await victim.open(callback), "sign-in-state")
        await victim.asked("honest")
        assert refused(await victim.open(callback), "sign-in-state"), "a cookie of another sign-in does not help"
        assert (await attacker.open(callback)).status_code == 200


async def test_a_forged_cookie_is_refused(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as attacker, site.browser() as victim:
        callback = await attacker.consent(await attacker.asked("honest"), email)
        (name,) = dict(attacker.client.cookies)
        victim.client.cookies.set(name, "forged")
        assert refused(await victim.open(callback), "sign-in-state")


async def test_an_unknown_state_is_refused(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        callback = httpx.URL(await browser.consent(await browser.asked("honest"), email))
        assert refused(await browser.open(str(callback.copy_set_param("state", "another"))), "sign-in-state")
        assert refused(await browser.open(str(callback.copy_remove_param("state"))), "invalid", 422)


async def test_the_state_of_one_provider_is_refused_at_another(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        callback = await browser.consent(await browser.asked("honest"), email)
        assert refused(await browser.open(callback.replace("/honest/", "/linking/")), "sign-in-state")


async def test_two_sign_ins_may_be_under_way_in_one_browser(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        first, second = [await browser.consent(await browser.asked("honest"), email) for _ in range(2)]
        for callback in (second, first):
            # Providers add parameters of their own.
            assert (await browser.open(f"{callback}&session_state=x&hd=example.com")).status_code == 200


async def test_who_is_refused_by_the_provider_is_refused(site: Website) -> None:
    async with site.browser() as browser:
        denied = await browser.client.post(await browser.asked("honest"), data={"action": "deny"})
        location = denied.headers["location"]
        state = httpx.URL(await browser.asked("honest")).params["state"]
        callback = f"{site.url}/api/v1/auth/oidc/honest/callback?state={state}"
        assert "error=access_denied" in location
        answer = await browser.open(f"{callback}&error=access_denied&error_description=%3Cscript%3E")
        assert refused(answer, "provider-denied")
        assert answer.json()["error"] == "access_denied"
        assert "script" not in answer.text


async def test_what_a_callback_says_is_not_repeated(site: Website) -> None:
    async with site.browser() as browser:
        state = httpx.URL(await browser.asked("honest")).params["state"]
        callback = f"{site.url}/api/v1/auth/oidc/honest/callback?state={state}"
        answer = await browser.open(f"{callback}&error=%0Aluna:%20forged%20line")
        assert refused(answer, "provider-denied")
    assert "forged" not in answer.text
    assert "forged" not in site.luna.log.read_text()


async def test_who_is_not_invited_is_refused_and_not_made(site: Website) -> None:
    email = address()
    await register(site, email, email=email, email_verified=True)
    async with site.browser() as browser:
        assert refused(await browser.sign_in("honest", email), "no-membership")
        assert await site.user(email) is None
        assert refused(await browser.sign_in("open", email), "no-membership")
        assert await site.user(email) is not None, "this provider may make users"


async def test_who_changes_their_address_at_the_provider_stays_the_same_person(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        assert (await browser.sign_in("honest", email)).status_code == 200
        other = await invited(site)
        await register(site, email, email=other, email_verified=False)
        answer = await browser.sign_in("honest", email)
        assert answer.status_code == 200
        me = await browser.client.get(
            f"{site.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}
        )
    assert me.json()["email"] == email


async def test_a_user_with_a_password_is_linked_only_where_the_settings_say_so(site: Website) -> None:
    email = await invited(site)
    user = await site.make_user(email, "a hash")
    async with site.browser() as browser:
        assert refused(await browser.sign_in("honest", email), "not-linked")
        assert (await browser.sign_in("linking", email)).status_code == 200
        assert (await browser.sign_in("honest", email)).status_code == 200, "the same issuer and subject"
    found = await site.user(email)
    assert found is not None
    assert (found.id, found.password_hash) == (user.id, "a hash")


async def test_a_user_who_never_signed_in_is_linked(site: Website) -> None:
    email = await invited(site)
    user = await site.make_user(email, None)
    async with site.browser() as browser:
        assert (await browser.sign_in("honest", email)).status_code == 200
    assert (await site.user(email) or user).id == user.id


async def test_an_address_that_was_given_to_somebody_else_does_not_give_them_the_user(site: Website) -> None:
    email, heir = await invited(site), address()
    await register(site, heir, email=email, email_verified=True)
    async with site.browser() as browser:
        assert (await browser.sign_in("honest", email)).status_code == 200
        assert refused(await browser.sign_in("honest", heir), "not-linked")
        assert refused(await browser.sign_in("linking", heir), "not-linked")


async def test_a_disabled_user_is_refused(site: Website) -> None:
    email = await invited(site)
    async with site.browser() as browser:
        assert (await browser.sign_in("honest", email)).status_code == 200
        await site.disable(email)
        assert refused(await browser.sign_in("honest", email), "user-disabled")


async def test_the_account_is_chosen_where_the_sign_in_begins(site: Website) -> None:
    email = await invited(site)
    other = await site.invite(email, Role.VIEWER)
    stranger = (await site.account())[0]
    async with site.browser() as browser:
        assert refused(await browser.sign_in("honest", email), "invalid", 422)
        answer = await browser.sign_in("honest", email, account_id=other)
        assert (answer.json()["account_id"], answer.json()["role"]) == (other, "viewer")
        assert refused(await browser.sign_in("honest", email, account_id=stranger), "no-membership")


async def test_claims_give_roles_change_them_and_take_them_back(site: Website) -> None:
    team, other = await site.named(TEAM), await site.named(OTHER)
    email = address()

    async def with_claims(**claims: Any) -> dict[int, str]:
        await register(site, email, email=email, email_verified=True, **claims)
        async with site.browser() as browser:
            answer = await browser.sign_in("honest", email, account_id=team)
        roles = await site.roles(email)
        assert answer.status_code == (200 if team in roles else 403)
        if answer.status_code == 200:
            assert answer.json()["role"] == roles[team]
        return roles

    assert await with_claims(groups=["unknown"]) == {}
    assert await site.user(email) is None
    assert await with_claims(groups=["luna-users", "x"]) == {team: "viewer"}
    assert await with_claims(groups=["luna-users", "luna-admins"]) == {team: "admin"}
    assert await with_claims(groups="luna-users", realm={"roles": ["other"]}) == {team: "viewer", other: "member"}
    await site.invite(email, Role.MEMBER, other)
    assert await with_claims(groups=["luna-admins"], realm={"roles": "x"}) == {team: "admin", other: "member"}
    assert await with_claims() == {other: "member"}, "what others gave stays"


async def test_the_audit_log_names_the_provider_that_gave_a_role(site: Website) -> None:
    team, email = await site.named(TEAM), address()
    await register(site, email, email=email, email_verified=True, groups=["luna-admins"])
    async with site.browser() as browser:
        assert (await browser.sign_in("honest", email, account_id=team)).status_code == 200
    assert "provider:honest" in await site.actors(team)


async def test_a_role_that_a_claim_took_back_ends_at_once(site: Website) -> None:
    team, email = await site.named(TEAM), address()
    async with site.browser() as browser:
        await register(site, email, email=email, email_verified=True, groups=["luna-admins"])
        token = (await browser.sign_in("honest", email, account_id=team)).json()["access_token"]
        asked = f"{site.url}/api/v1/{team}", {"Authorization": f"Bearer {token}"}
        assert (await browser.client.get(asked[0], headers=asked[1])).status_code == 200
        await register(site, email, email=email, email_verified=True, groups=[])
        assert (await browser.sign_in("honest", email)).status_code == 403
        assert (await browser.client.get(asked[0], headers=asked[1])).status_code == 401


async def test_the_routes_are_in_the_openapi_document(site: Website) -> None:
    async with site.browser() as browser:
        paths = (await browser.client.get(f"{site.url}/openapi.json")).json()["paths"]
    begin = paths["/api/v1/auth/oidc/{provider}"]["get"]["responses"]
    assert set(begin) == {"302", "404", "422", "429", "503"}
    assert {"Location", "Set-Cookie"} == set(begin["302"]["headers"])
    assert set(paths["/api/v1/auth/oidc/{provider}/callback"]["get"]["responses"]) == {
        "200", "403", "404", "422", "429", "503"
    }  # fmt: skip
    assert set(paths["/api/v1/auth/providers"]["get"]["responses"]) == {"200", "422"}
