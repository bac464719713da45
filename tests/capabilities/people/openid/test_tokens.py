"""What a provider sends is verified: each way to be wrong is refused, and lets nobody in."""

import asyncio
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from tests.capabilities.people.openid.people import SECRET, Website, address
from tests.capabilities.people.openid.strange import Sign, Strange, new_key, sign


def base64(data: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def by_another_key(claims: dict[str, Any], key: RSAKey) -> str:
    return sign(claims, new_key(), kid=key.kid)


def by_an_unknown_key(claims: dict[str, Any], key: RSAKey) -> str:
    return sign(claims, new_key())


def by_a_key_in_its_header(claims: dict[str, Any], key: RSAKey) -> str:
    other = new_key()
    return sign(claims, other, kid=key.kid, jwk=other.as_dict(private=False))


def unsigned(claims: dict[str, Any], key: RSAKey) -> str:
    return f"{base64({'alg': 'none', 'kid': key.kid})}.{base64(claims)}."


def hmac_with(secret: bytes, claims: dict[str, Any], kid: str | None) -> str:
    # By hand: the library refuses a public key as a secret.
    signed = f"{base64({'alg': 'HS256', 'kid': kid})}.{base64(claims)}"
    signature = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def hmac_with_the_public_key(claims: dict[str, Any], key: RSAKey) -> str:
    return hmac_with(key.as_pem(private=False), claims, key.kid)


def hmac_with_the_client_secret(claims: dict[str, Any], key: RSAKey) -> str:
    return hmac_with(SECRET.encode(), claims, key.kid)


def by_a_curve(claims: dict[str, Any], key: RSAKey) -> str:
    other = ECKey.generate_key("P-256")
    head = {"alg": "ES256", "kid": key.kid}
    return jws.serialize_compact(head, json.dumps(claims), other, algorithms=["ES256"])


def altered(claims: dict[str, Any], key: RSAKey) -> str:
    head, _, signature = sign(claims, key).split(".")
    return f"{head}.{base64(claims | {'sub': 'somebody else'})}.{signature}"


def no_object(claims: dict[str, Any], key: RSAKey) -> str:
    return jws.serialize_compact({"alg": "RS256", "kid": key.kid}, b'["a list"]', key, algorithms=["RS256"])


def no_token(claims: dict[str, Any], key: RSAKey) -> str:
    return "not a token"


async def finished(
    site: Website, strange: Strange, claims: dict[str, Any], sign_with: Sign = sign, **answer: Any
) -> Any:
    email = address()
    await site.invite(email)
    person = {"sub": email, "email": email, "email_verified": True} | claims
    async with site.browser() as browser:
        location = await browser.asked("strange")
        answered = await browser.open(strange.callback(location, person, sign_with, **answer))
    if answered.status_code != 200:
        assert await site.user(email) is None, "nobody was made"
    return answered


async def test_the_right_token_is_accepted(site: Website, strange: Strange) -> None:
    """Otherwise the others would show nothing."""
    assert (await finished(site, strange, {})).status_code == 200


@pytest.mark.parametrize(
    "sign_with",
    [
        by_another_key,
        by_an_unknown_key,
        by_a_key_in_its_header,
        unsigned,
        hmac_with_the_public_key,
        hmac_with_the_client_secret,
        by_a_curve,
        altered,
        no_object,
        no_token,
    ],
)
async def test_a_token_that_the_provider_did_not_sign_is_refused(
    site: Website, strange: Strange, sign_with: Sign
) -> None:
    answer = await finished(site, strange, {}, sign_with)
    assert (answer.status_code, answer.json()["type"]) == (403, "https://luna.dev/problems/identity-refused")


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": ["luna", "another"]},
        {"aud": ["luna", "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://accounts.example.com"},
        {"iss": None},
        {"exp": time.time() - 120},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": time.time() + 3600},
        {"iat": None},
        {"nbf": time.time() + 3600},
        {"sub": None},
        {"sub": 7},
        {"sub": ""},
        {"sub": "s" * 256},
        {"at_hash": "another"},
    ],
    # A moment differs from worker to worker, and ids must not.
    ids=lambda claims: "-".join(
        f"{name} {'moment' if isinstance(value, float) else str(value)[:24]}" for name, value in claims.items()
    ),
)
async def test_a_token_with_a_wrong_claim_is_refused(site: Website, strange: Strange, claims: dict[str, Any]) -> None:
    answer = await finished(site, strange, claims)
    assert (answer.status_code, answer.json()["type"]) == (403, "https://luna.dev/problems/identity-refused")


@pytest.mark.parametrize("answer", [{"id_token": None}, {"access_token": None}, {"id_token": 7}])
async def test_an_answer_without_tokens_is_refused(site: Website, strange: Strange, answer: dict[str, Any]) -> None:
    answered = await finished(site, strange, {}, **answer)
    assert (answered.status_code, answered.json()["type"]) == (403, "https://luna.dev/problems/identity-refused")


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": None},
        {"email": None},
        {"email": "no address"},
        {"email": ["a@example.com"]},
    ],
    ids=str,
)
async def test_an_address_that_is_not_verified_is_refused(
    site: Website, strange: Strange, claims: dict[str, Any]
) -> None:
    answer = await finished(site, strange, claims)
    assert (answer.status_code, answer.json()["type"]) == (403, "https://luna.dev/problems/email-not-verified")


async def test_userinfo_adds_claims_of_the_same_person_only(site: Website, strange: Strange) -> None:
    email = address()
    await site.invite(email)
    strange.issuers["thin"].userinfo = {"sub": email, "email": email, "email_verified": True}
    async with site.browser() as browser:
        answer = await browser.open(strange.callback(await browser.asked("thin"), {"sub": email}))
        assert answer.status_code == 200, answer.text
        answer = await browser.open(strange.callback(await browser.asked("thin"), {"sub": "another"}))
        assert (answer.status_code, answer.json()["type"]) == (403, "https://luna.dev/problems/identity-refused")


async def test_a_provider_that_names_itself_in_callbacks_has_to(site: Website, strange: Strange) -> None:
    """RFC 9207: otherwise the answer of one provider could be sent to another."""
    email, issuer = address(), strange.issuers["named"].url
    await site.invite(email)
    person = {"sub": email, "email": email, "email_verified": True}
    async with site.browser() as browser:
        for query, status in (({}, 403), ({"iss": strange.issuers["strange"].url}, 403), ({"iss": issuer}, 200)):
            callback = strange.callback(await browser.asked("named"), person, query=query)
            assert (await browser.open(callback)).status_code == status, query


async def test_a_new_key_of_the_provider_is_found(site: Website, strange: Strange) -> None:
    """And its set is not read for every token that names a key that there is not."""
    email, rotating = address(), strange.issuers["rotating"]
    await site.invite(email)
    person = {"sub": email, "email": email, "email_verified": True}
    async with site.browser() as browser:
        assert (await browser.open(strange.callback(await browser.asked("rotating"), person))).status_code == 200
        first_read = time.monotonic()
        for _ in range(3):
            answer = await browser.open(strange.callback(await browser.asked("rotating"), person, by_an_unknown_key))
            assert answer.status_code == 403
        assert rotating.key_reads == 1 or time.monotonic() - first_read > 9
        rotating.key = new_key()
        await asyncio.sleep(max(0.0, first_read + 10.5 - time.monotonic()))
        assert (await browser.open(strange.callback(await browser.asked("rotating"), person))).status_code == 200
