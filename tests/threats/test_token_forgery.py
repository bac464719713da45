"""JWT confusion: no token is accepted that Luna did not issue as it is."""

import httpx
import pytest
from tests.serving.platform import Caller
from tests.threats.forgery import TAMPERINGS, Valid
from tests.threats.running import LocalLuna
from tests.threats.schemathesis_run import credentials_of

from luna_store.accounts.api_keys import Peppers


@pytest.fixture(scope="module")
def caller(luna: LocalLuna) -> Caller:
    return luna.new_caller()


@pytest.fixture(scope="module", params=["of a key"])
def valid(luna: LocalLuna, caller: Caller, request: pytest.FixtureRequest) -> Valid:
    """A token of each kind that Luna issues."""
    token = credentials_of(caller)["token"]["Authorization"].removeprefix("Bearer ")
    return Valid(token, Peppers.parse(luna.peppers), other_account=luna.new_caller().id)


def status_of(caller: Caller, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
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


@pytest.mark.parametrize("claim", ["sub", "key"])
def test_a_token_without_a_claim_that_it_needs_is_refused(caller: Caller, valid: Valid, claim: str) -> None:
    assert claim in valid.claims
    assert status_of(caller, valid.with_claims(**{claim: None})) == 401


def test_a_token_is_of_one_account_on_every_path(caller: Caller, valid: Valid) -> None:
    headers = {"Authorization": f"Bearer {valid.token}"}
    answer = httpx.get(f"{caller.base_url}/api/v1/{valid.other_account}", headers=headers)
    assert answer.status_code == 403
