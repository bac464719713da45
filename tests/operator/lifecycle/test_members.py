"""What `spec.members` means to people: they sign in over HTTP as what it says, and are out within seconds."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from tests.operator.lifecycle.team import Team, refused
from tests.operator.operating import eventually
from tests.serving.people import HASH, PASSWORD

from luna_store.people.users import Users
from luna_store.platform.postgres import async_engine

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

# The bound for a person who was removed.
OUT_S = 5


@dataclass
class Person:
    """Somebody with an address of their own, who calls over HTTP."""

    at: Installation
    email: str
    token: str = ""

    @classmethod
    def new(cls, at: Installation) -> Person:
        return cls(at, f"ada-{secrets.token_hex(4)}@example.com")

    def become_a_user(self) -> None:
        async def create() -> None:
            engine = async_engine(self.at.around.database_url)
            await Users(engine).create(self.email, HASH)
            await engine.dispose()

        asyncio.run(create())

    def sign_in(self) -> httpx.Response:
        body = {"email": self.email, "password": PASSWORD}
        answer = httpx.post(f"{self.at.luna.url}/api/v1/auth/login", json=body, timeout=60)
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, f"{self.at.luna.url}/api/v1{path}", headers=headers, timeout=60, **more)

    def call(self) -> httpx.Response:
        return self.ask("POST", "/kalman", json={"results": [1.0]})

    def out(self) -> None:
        """Wait until the token is refused; fails if that takes longer than it may."""
        begun = time.monotonic()
        eventually(lambda: self.call().status_code == 401)
        assert time.monotonic() - begun < OUT_S


def test_an_invited_person_signs_in_as_what_the_account_says_and_is_out_soon_after_the_removal(
    make: Make, installation: Installation
) -> None:
    ada = Person.new(installation)
    team = make({"members": [{"email": ada.email}]}).ready()
    # An address that no user has is an invitation.
    assert refused(ada.sign_in()) == (401, "unauthenticated")
    ada.become_a_user()
    answer = ada.sign_in()
    assert (answer.status_code, answer.json()["role"], answer.json()["account_id"]) == (200, "member", team.id)
    assert ada.call().status_code == 200
    team.patch({"members": [{"email": ada.email, "role": "viewer"}]})
    # Its token says member.
    ada.out()
    assert ada.sign_in().json()["role"] == "viewer"
    assert refused(ada.call()) == (403, "role")
    team.patch({"members": [{"email": ada.email, "role": "admin"}]}).ready()
    assert ada.sign_in().json()["role"] == "admin"
    assert ada.call().status_code == 200
    team.patch({"members": []})
    ada.out()
    assert refused(ada.sign_in()) == (403, "no-membership")


def test_a_role_that_an_admin_gave_over_http_is_none_of_the_operators(make: Make, installation: Installation) -> None:
    ada = Person.new(installation)
    team = make({"members": [{"email": ada.email, "role": "admin"}]}).ready()
    ada.become_a_user()
    ada.sign_in()
    assert ada.ask("PUT", "/members/alan@example.com", json={"role": "member"}).status_code == 201
    listed = {member["email"]: member["sources"] for member in ada.ask("GET", "/members").json()["items"]}
    assert listed == {ada.email: {"resource": "admin"}, "alan@example.com": {"admin": "member"}}
    assert refused(ada.ask("DELETE", f"/members/{ada.email}")) == (409, "managed")
    team.patch({"members": [{"email": ada.email, "role": "admin"}, {"email": "alan@example.com", "role": "viewer"}]})
    eventually(lambda: "alan@example.com" in team.members())
    team.patch({"members": [{"email": ada.email, "role": "admin"}]}).ready()
    eventually(lambda: "alan@example.com" not in team.members())
    assert team.members("admin") == {"alan@example.com": "member"}


def test_an_address_that_is_none_is_reported_with_its_cure_and_the_rest_takes_effect(make: Make) -> None:
    team = make({"members": [{"email": "alan@example.com", "role": "admin"}]}).ready()
    wrong = [{"email": "ada@-"}, {"email": "grace@example.com"}]
    team.patch({"members": wrong, "displayName": "Acme"})
    told = team.condition("Ready", "False", "InvalidMembers")["message"]
    assert "spec.members[0].email: 'ada@-' is no email address" in told
    assert "Write one, as in ada@example.com." in told
    assert team.condition("DatabaseSynced", "False", "InvalidMembers")
    assert team.members() == {"grace@example.com": "member"}
    assert team.row()["display_name"] == "Acme"
    assert team.call().status_code == 200
    assert eventually(lambda: team.told()["InvalidMembers"]) == "Warning"
    team.patch({"members": wrong[1:]}).ready()


def test_a_key_that_an_admin_ends_over_http_is_replaced_in_the_secret(make: Make, installation: Installation) -> None:
    ada = Person.new(installation)
    ada.become_a_user()
    with installation.another(sweep_s=1):
        team: Team = make({"members": [{"email": ada.email, "role": "admin"}]}).ready()
        leaked = team.key
        assert team.call().status_code == 200
        ada.sign_in()
        assert refused(ada.ask("POST", "/keys", json={})) == (409, "managed")
        assert ada.ask("DELETE", f"/keys/{leaked[:13]}").status_code == 204
        assert refused(installation.call(team.id, leaked)) == (401, "unauthenticated")
        eventually(lambda: team.key != leaked)
        eventually(lambda: team.call().status_code == 200)
