"""A provider's discovery document and key set: OpenID Connect Discovery 1.0, sections 3 and 4; RFC 7517."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from luna_serving.settings.openid import on_loopback, secure

WELL_KNOWN: Final = "/.well-known/openid-configuration"
# Never `none`, and no HMAC: its key would be the client secret, or a public key that is taken for one.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# RFC 7518, section 3.3.
MIN_RSA_BITS: Final = 2048
MAX_KEYS: Final = 100
KEY_TYPES: Final[Mapping[str, type[RSAKey | ECKey | OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class InvalidDocument(Exception):
    """A document of a provider breaks a rule; says which. Whoever runs the provider, or configured it, corrects it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]
    """Of its ID tokens; only asymmetric ones."""
    takes_basic: bool
    """Whether the client may authenticate with HTTP Basic, else with members of the form."""
    names_itself: bool
    """Whether its callbacks carry `iss` (RFC 9207)."""


def read_metadata(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Read a discovery document.

    Args:
        document: the JSON object.
        issuer: the configured one.

    Raises:
        InvalidDocument: it is another issuer's, or cannot be used.
    """
    if document.get("issuer") != issuer:
        # Discovery, section 4.3: otherwise one issuer could speak for another.
        raise InvalidDocument(f"issuer is {document.get('issuer')!r:.200}, and the configured one is {issuer!r}")
    local = on_loopback(issuer)

    def endpoint(name: str) -> str:
        url = document.get(name)
        if not isinstance(url, str) or not secure(url, loopback=local) or "#" in url:
            raise InvalidDocument(f"{name} is no https URL")
        return url

    announced = _words(document, "id_token_signing_alg_values_supported", ["RS256"])
    algorithms = tuple(each for each in ALGORITHMS if each in announced)
    if not algorithms:
        raise InvalidDocument("id_token_signing_alg_values_supported names no asymmetric algorithm")
    methods = _words(document, "token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        issuer=issuer,
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        jwks_uri=endpoint("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint") if document.get("userinfo_endpoint") is not None else None,
        algorithms=algorithms,
        takes_basic="client_secret_basic" in methods or "client_secret_post" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def read_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Read a key set: its asymmetric keys for signatures. Keys of other kinds are left out, as RFC 7517 asks.

    Raises:
        InvalidDocument: it is no key set.
    """
    keys = document.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise InvalidDocument(f"the key set has no list `keys` of at most {MAX_KEYS}")
    found = (_key(each) for each in keys if isinstance(each, dict))
    return tuple(key for key in found if key is not None)


def _key(document: dict[str, Any]) -> Key | None:
    kind = KEY_TYPES.get(str(document.get("kty")))
    if kind is None or document.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in document.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}
    try:
        key = kind.import_key(public)
        weak = isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if weak else key


def _words(document: Mapping[str, Any], name: str, default: Sequence[str]) -> frozenset[str]:
    found = document.get(name, default)
    if not isinstance(found, list):
        raise InvalidDocument(f"{name} is no list")
    return frozenset(each for each in found if isinstance(each, str))
