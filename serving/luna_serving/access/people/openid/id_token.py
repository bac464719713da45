"""ID tokens: OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from authlib.oidc.core import CodeIDToken
from joserfc import jws
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

# Seconds by which the provider's clock may differ.
LEEWAY_S: Final = 60
# OpenID Connect Core 1.0, section 2.
MAX_SUBJECT: Final = 255
TYPES: Final[Mapping[str, type[RSAKey | ECKey | OKPKey]]] = {"R": RSAKey, "P": RSAKey, "E": ECKey}


class InvalidIdToken(Exception):
    """The ID token breaks a rule; says which. Begin the sign-in again."""


class UnknownKey(Exception):
    """No key of the set can have signed the token: the provider may have new ones."""


@dataclass(frozen=True, slots=True, repr=False)
class Expected:
    """What an ID token has to be."""

    issuer: str
    client_id: str
    algorithms: tuple[str, ...]
    nonce: str
    access_token: str
    """Issued with it; `at_hash` has to be its digest."""


class _Registry(JWSRegistry):
    # Some providers send their certificate in the header.
    max_header_length = 8192


def verified(token: str, keys: Sequence[Key], expected: Expected, now: int) -> dict[str, Any]:
    """The claims of an ID token.

    Args:
        token: a JWS in compact form.
        keys: of the provider.
        expected: what it has to say.
        now: seconds since 1970.

    Raises:
        UnknownKey: none of the keys is named by the token.
        InvalidIdToken: it is not valid.
    """
    registry = _Registry(algorithms=expected.algorithms, strict_check_header=False)
    try:
        unverified = jws.extract_compact(token.encode(), registry=registry).headers()
        algorithm = unverified.get("alg")
        if algorithm not in expected.algorithms:
            raise InvalidIdToken("its algorithm is not one that the provider announces")
        key = _chosen(keys, algorithm, unverified.get("kid"))
        signed = jws.deserialize_compact(token.encode(), key, registry=registry)
        claims = orjson.loads(signed.payload or b"")
    except (JoseError, ValueError, TypeError) as e:
        raise InvalidIdToken("its signature or its form is wrong") from e
    _check(claims, signed.headers(), expected, now)
    return dict(claims)


def _chosen(keys: Sequence[Key], algorithm: str, kid: object) -> Key:
    # `EdDSA` begins as `ES256` does.
    kind = OKPKey if algorithm == "EdDSA" else TYPES[algorithm[0]]
    fit = [key for key in keys if isinstance(key, kind) and key.get("alg", algorithm) == algorithm]
    if kid is not None:
        fit = [key for key in fit if key.kid == kid]
    elif len(fit) > 1:
        # Core, section 10.1: a set of several keys needs names.
        raise InvalidIdToken("it does not name its key")
    if not fit:
        raise UnknownKey
    return fit[0]


def _check(claims: object, header: dict[str, Any], expected: Expected, now: int) -> None:
    if not isinstance(claims, dict):
        raise InvalidIdToken("its payload is no JSON object")
    for name in ("exp", "iat"):
        if type(claims.get(name)) not in {int, float}:
            raise InvalidIdToken(f"its claim {name} is no number")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidIdToken("its claim sub is no text of 1 to 255 characters")
    options = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
    }
    parameters = {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token}
    try:
        CodeIDToken(claims, header, options, parameters).validate(now, LEEWAY_S)
    except ClaimError as e:
        raise InvalidIdToken(f"its claim {e.claim} is wrong") from e
    except (JoseError, ValueError, TypeError) as e:
        raise InvalidIdToken("its claims are wrong") from e
