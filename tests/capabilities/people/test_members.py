"""Members of an account over HTTP, on real stores."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.capabilities.people.signed_in import house, refusal
from tests.store.stores import Store

from luna_store.people import own_members
from luna_store.people.memberships import Memberships, Source
from luna_store.people.reconciled import ResourceMembers
from luna_store.people.roles import Role


async def put(client: httpx.AsyncClient, email: str, role: str) -> httpx.Response:
    return await client.put(f"/members/{email}", json={"role": role})


async def test_an_admin_adds_changes_and_removes_members(store: Store) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin") as ada:
        added = await put(ada, "alan@example.com", "viewer")
        assert added.status_code == 201, added.text
        assert added.headers["location"] == f"/api/v1/{home.account.account_id}/members/alan@example.com"
        body = added.json()
        assert (body["email"], body["role"], body["sources"]) == ("alan@example.com", "viewer", {"admin": "viewer"})
        assert body["invited"] is True
        changed = await put(ada, "alan@example.com", "member")
        assert (changed.status_code, changed.json()["role"]) == (200, "member")
        assert changed.json()["since"] == body["since"]
        removed = await ada.delete("/members/alan@example.com")
        assert (removed.status_code, removed.content) == (204, b"")
        assert refusal(await ada.delete("/members/alan@example.com"))[:2] == (404, "not-found")
        assert await home.roles() == {("ada@example.com", "command", "admin")}


async def test_an_address_is_one_member_however_it_is_written(store: Store) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin") as ada:
        assert (await put(ada, "Alan.Turing@Example.COM", "viewer")).json()["email"] == "alan.turing@example.com"
        assert (await put(ada, "alan.turing%40example.com", "member")).status_code == 200
        # RFC 5322 admits a slash in front of the @.
        assert (await put(ada, "alan%2Fgrace@example.com", "member")).json()["email"] == "alan/grace@example.com"
        assert (await ada.delete("/members/alan%2Fgrace@example.com")).status_code == 204
        assert (await ada.delete("/members/ALAN.TURING@example.com")).status_code == 204


async def test_a_viewer_sees_all_members_page_by_page(store: Store) -> None:
    async with house(store) as home, await home.person("zoe@example.com", "viewer") as zoe:
        memberships = Memberships(store.engine)
        for number in range(7):
            await memberships.put(home.account.account_id, f"p{number}@example.com", Role.MEMBER, Source.ADMIN)
        await memberships.put(home.account.account_id, "p3@example.com", Role.ADMIN, Source.RESOURCE)
        found: list[dict[str, Any]] = []
        cursor, pages = {}, 0
        while True:
            page = (await zoe.get("/members", params={"limit": 3, **cursor})).json()
            found, pages = found + page["items"], pages + 1
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert [member["email"] for member in found] == [f"p{n}@example.com" for n in range(7)] + ["zoe@example.com"]
        assert pages == 3
        assert (found[3]["role"], found[3]["sources"]) == ("admin", {"admin": "member", "resource": "admin"})
        assert [member["invited"] for member in found] == [True] * 7 + [False]
        assert refusal(await zoe.get("/members", params={"cursor": "bm8"}))[:2] == (422, "invalid")


@pytest.mark.parametrize("role", ["viewer", "member", "key"])
async def test_only_an_admin_changes_members(store: Store, role: str) -> None:
    async with house(store) as home:
        client = home.machine() if role == "key" else await home.person("alan@example.com", role)
        async with client:
            assert (await client.get("/members")).status_code == 200
            before = await home.roles()
            for answer in (
                await put(client, "alan@example.com", "admin"),
                await client.delete("/members/a@example.com"),
            ):
                status, slug, detail = refusal(answer)
                assert (status, slug) == (403, "role")
                assert "needs the role admin" in detail
            assert await home.roles() == before


async def test_members_of_another_account_stay_untouched_and_unseen(store: Store) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin") as ada:
        other = await store.account()
        await Memberships(store.engine).put(other.account_id, "eve@example.com", Role.ADMIN, Source.ADMIN)
        assert refusal(await ada.get(f"/{other.account_id}/members"))[:2] == (403, "other-account")
        answer = await ada.put(f"/{other.account_id}/members/ada@example.com", json={"role": "admin"})
        assert refusal(answer)[:2] == (403, "other-account")
        assert refusal(await ada.delete("/members/eve@example.com"))[:2] == (404, "not-found")
        assert [member["email"] for member in (await ada.get("/members")).json()["items"]] == ["ada@example.com"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("ada", {"role": "admin"}, "/path/email"),
        ("a@b..c", {"role": "admin"}, "/path/email"),
        ("ada@example.com%00", {"role": "admin"}, "/path/email"),
        ("ada@example.com%20x", {"role": "admin"}, "/path/email"),
        ("a" * 300 + "@example.com", {"role": "admin"}, "/path/email"),
        ("alan@example.com", {"role": "owner"}, "/role"),
        ("alan@example.com", {"role": 3}, "/role"),
        ("alan@example.com", {}, "/role"),
        ("alan@example.com", {"role": "admin", "source": "resource"}, "/source"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_bad_address_or_role_is_refused_at_its_field(
    store: Store, path: str, body: dict[str, Any], pointer: str
) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin") as ada:
        answer = await ada.put(f"/members/{path}", json=body)
        assert refusal(answer)[:2] == (422, "invalid")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert await home.roles() == {("ada@example.com", "command", "admin")}


@pytest.mark.parametrize(
    ("source", "cure"),
    [
        (Source.RESOURCE, "edit spec.members of the Account"),
        (Source.COMMAND, "luna user remove-from"),
        (Source.PROVIDER, "OpenID provider"),
    ],
)
async def test_a_role_from_elsewhere_is_taken_back_there(store: Store, source: Source, cure: str) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin") as ada:
        await Memberships(store.engine).put(home.account.account_id, "alan@example.com", Role.MEMBER, source)
        status, slug, detail = refusal(await ada.delete("/members/alan@example.com"))
        assert (status, slug) == (409, "managed")
        assert cure in detail
        lower = (await put(ada, "alan@example.com", "viewer")).json()
        # What was sent is kept, and what counts is said.
        assert (lower["role"], lower["sources"]) == ("member", {source.value: "member", "admin": "viewer"})
        assert (await ada.delete("/members/alan@example.com")).status_code == 204
        assert ("alan@example.com", source.value, "member") in await home.roles()
        assert refusal(await ada.delete("/members/alan@example.com"))[:2] == (409, "managed")


async def test_the_last_admin_can_neither_leave_nor_step_down(store: Store) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin", Source.ADMIN) as ada:
        # An invited admin cannot sign in yet.
        assert (await put(ada, "grace@example.com", "admin")).status_code == 201
        before = await home.roles()
        for answer in (await ada.delete("/members/ada@example.com"), await put(ada, "ada@example.com", "viewer")):
            status, slug, detail = refusal(answer)
            assert (status, slug) == (409, "last-admin")
            assert "Make another user an admin first" in detail
        assert await home.roles() == before
        async with await home.person("alan@example.com", "admin", Source.ADMIN) as alan:
            assert (await ada.delete("/members/ada@example.com")).status_code == 204
            assert refusal(await alan.delete("/members/alan@example.com"))[:2] == (409, "last-admin")


async def test_two_admins_who_remove_each_other_at_once_leave_one(store: Store) -> None:
    async with (
        house(store) as home,
        await home.person("ada@example.com", "admin", Source.ADMIN) as ada,
        await home.person("alan@example.com", "admin", Source.ADMIN) as alan,
    ):
        answers = await asyncio.gather(ada.delete("/members/alan@example.com"), alan.delete("/members/ada@example.com"))
        statuses = sorted(answer.status_code for answer in answers)
        # The second may find itself removed already.
        assert statuses in ([204, 409], [204, 401], [204, 403])
        assert len(await home.roles()) == 1


async def test_a_removed_persons_token_is_refused_by_the_next_call(store: Store) -> None:
    async with (
        house(store) as home,
        await home.person("ada@example.com", "admin") as ada,
        await home.person("alan@example.com", "member", Source.ADMIN) as alan,
    ):
        assert (await alan.get("/account")).status_code == 200
        assert (await ada.delete("/members/alan@example.com")).status_code == 204
        assert refusal(await alan.get("/account"))[:2] == (401, "unauthenticated")
        # Neither does an earlier session come back with a new role.
        assert (await put(ada, "alan@example.com", "member")).status_code == 201
        assert refusal(await alan.get("/account"))[:2] == (401, "unauthenticated")


async def test_a_demoted_admin_is_none_by_the_next_call(store: Store) -> None:
    async with (
        house(store) as home,
        await home.person("ada@example.com", "admin") as ada,
        await home.person("alan@example.com", "admin", Source.ADMIN) as alan,
    ):
        assert (await put(ada, "alan@example.com", "viewer")).status_code == 200
        assert (await put(alan, "alan@example.com", "admin")).status_code in {401, 403}
        assert ("alan@example.com", "admin", "viewer") in await home.roles()


async def test_an_account_has_so_many_members_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_members, "MOST_MEMBERS", 3)
    async with house(store) as home, await home.person("ada@example.com", "admin") as ada:
        assert (await put(ada, "alan@example.com", "viewer")).status_code == 201
        # A second source of one address is no second member.
        await Memberships(store.engine).put(home.account.account_id, "alan@example.com", Role.MEMBER, Source.COMMAND)
        assert (await put(ada, "grace@example.com", "viewer")).status_code == 201
        status, slug, detail = refusal(await put(ada, "edsger@example.com", "viewer"))
        assert (status, slug) == (409, "limit-reached")
        assert "Remove one" in detail
        assert (await put(ada, "grace@example.com", "member")).status_code == 200


async def test_what_a_resource_gives_is_exact_and_touches_no_other_source(store: Store) -> None:
    async with house(store) as home, await home.person("ada@example.com", "admin"):
        members, account_id = ResourceMembers(store.engine), home.account.account_id
        await Memberships(store.engine).put(account_id, "alan@example.com", Role.VIEWER, Source.ADMIN)
        others = {("ada@example.com", "command", "admin"), ("alan@example.com", "admin", "viewer")}
        for desired in (
            {"alan@example.com": Role.ADMIN, "grace@example.com": Role.VIEWER},
            {"alan@example.com": Role.MEMBER, "edsger@example.com": Role.VIEWER},
            {"alan@example.com": Role.MEMBER, "edsger@example.com": Role.VIEWER},
            {},
        ):
            await members.apply(account_id, desired)
            given = {(email, "resource", role.word) for email, role in desired.items()}
            assert await home.roles() == others | given
            info = await store.accounts.get(account_id)
            assert await members.of_accounts([info.account_name, "nobody/else"]) == (
                {info.account_name: desired} if desired else {}
            )
