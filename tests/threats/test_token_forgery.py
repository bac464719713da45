"""JWT confusion: no token is accepted that Luna did not issue as it is."""

import secrets

import httpx
import pytest
from tests.serving.platform import Caller
from tests.threats.forgery import TAMPERINGS, Valid
from tests.threats.running import LocalLuna
from tests.threats.schemathesis_run import token_of

from luna_store.accounts.api_keys import Peppers
from luna_store.people.roles import Role


@pytest.fixture(scope="module")
def caller(luna: LocalLuna) -> Caller:
    return luna.new_caller()


@pytest.fixture(scope="module", params=["of a key", "of a person"])
def valid(luna: LocalLuna, caller: Caller, request: pytest.FixtureRequest) -> Valid:
    """A token of each kind that Luna issues."""
    of_key = request.param == "of a key"
    token = token_of(caller) if of_key else str(luna.new_person(caller.id).sign_in()["access_token"])
    return Valid(token, Peppers.parse(luna.peppers), other_account=luna.new_caller().id)


def status_of(caller: Caller, token: str) -> int:
    # From an address of its own each: two hundred refusals of one are answered 429.
    address = ".".join(map(str, (10, *secrets.token_bytes(3))))
    headers = {"Authorization": f"Bearer {token}".encode("latin-1"), "X-Forwarded-For": address.encode()}
    return httpx.get(f"{caller.base_url}/api/v1/account", headers=headers).status_code


def test_a_token_that_is_signed_as_luna_signs_is_accepted(caller: Caller, valid: Valid) -> None:
    """Otherwise the others might be refused for how they are made."""
    assert status_of(caller, valid.token) == 200
    assert valid.signed(valid.header, valid.claims) != ""
    assert status_of(caller, valid.signed(valid.header, valid.claims)) == 200
    assert status_of(caller, valid.with_claims(extra=1)) == 200


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_token_is_refused(caller: Caller, valid: Valid, tampering: str) -> None:
    forged = TAMPERINGS[tampering](valid)
    assert forged != valid.token
    assert status_of(caller, forged) == 401


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "account", "key", "iat", "exp"])
def test_a_token_without_a_claim_that_it_needs_is_refused(caller: Caller, valid: Valid, claim: str) -> None:
    assert claim in valid.claims
    assert status_of(caller, valid.with_claims(**{claim: None})) == 401


def test_a_token_is_of_one_account_on_every_path(caller: Caller, valid: Valid) -> None:
    headers = {"Authorization": f"Bearer {valid.token}"}
    answer = httpx.get(f"{caller.base_url}/api/v1/{valid.other_account}", headers=headers)
    assert answer.status_code == 403


def test_a_role_above_the_sessions_is_refused(luna: LocalLuna, caller: Caller) -> None:
    viewer = str(luna.new_person(caller.id, Role.VIEWER).sign_in()["access_token"])
    valid = Valid(viewer, Peppers.parse(luna.peppers), other_account=0)
    assert valid.claims["role"] == "viewer"
    assert status_of(caller, valid.with_claims()) == 200
    for role in ("admin", "member", None):
        assert status_of(caller, valid.with_claims(role=role)) == 401, role
    # The session with another role is no session.
    above = valid.claims["key"].replace(":viewer", ":admin")
    assert status_of(caller, valid.with_claims(role="admin", key=above)) == 401
