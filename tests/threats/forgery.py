"""Tokens that Luna did not issue, or not so: each a function from a valid one to a forged one."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from luna_serving.access.tokens import LEEWAY_S, Tokens
from luna_store.accounts.api_keys import Peppers

Claims = dict[str, Any]


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value: object) -> str:
    return encoded(json.dumps(value, separators=(",", ":")).encode())


@dataclass(frozen=True)
class Valid:
    """A token that Luna accepts, and what an attacker may know."""

    token: str
    peppers: Peppers
    other_account: int

    @property
    def header(self) -> Claims:
        return dict(json.loads(decoded(self.token.split(".")[0])))

    @property
    def claims(self) -> Claims:
        return dict(json.loads(decoded(self.token.split(".")[1])))

    @property
    def key(self) -> bytes:
        """What it is signed with; attackers do not have it, but misuse of it must be refused, too."""
        return Tokens(self.peppers, 900)._keys[self.header["kid"]]

    def signed(self, header: object, claims: object, key: bytes | None = None, digest: Any = sha256) -> str:
        return self.signed_text(compact(header), compact(claims), key, digest)

    def signed_text(self, header: str, claims: str, key: bytes | None = None, digest: Any = sha256) -> str:
        message = f"{header}.{claims}"
        return f"{message}.{encoded(hmac.new(self.key if key is None else key, message.encode(), digest).digest())}"

    def with_header(self, **members: Any) -> str:
        """Signed as Luna does, with other members in the header; None leaves one out."""
        return self.signed(_without_none(self.header | members), self.claims)

    def with_claims(self, **members: Any) -> str:
        """Signed as Luna does, with other claims; None leaves one out."""
        return self.signed(self.header, _without_none(self.claims | members))

    def unsigned(self, algorithm: object) -> str:
        return f"{compact(self.header | {'alg': algorithm})}.{compact(self.claims)}."


def _without_none(members: Mapping[str, Any]) -> Claims:
    return {name: value for name, value in members.items() if value is not None}


def _rsa() -> tuple[rsa.RSAPrivateKey, bytes]:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def _with_rsa(valid: Valid) -> str:
    private, _ = _rsa()
    message = f"{compact(valid.header | {'alg': 'RS256'})}.{compact(valid.claims)}"
    return f"{message}.{encoded(private.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _embedded(valid: Valid) -> str:
    """The attacker's key in the header, and the token signed with it (CVE-2018-0114)."""
    mine = b"m" * 32
    jwk = {"kty": "oct", "k": encoded(mine), "kid": "mine", "alg": "HS256"}
    return valid.signed(valid.header | {"jwk": jwk, "kid": "mine"}, valid.claims, mine)


def _jwe(valid: Valid) -> str:
    header = {"alg": "dir", "enc": "A256GCM", "kid": valid.header["kid"]}
    return f"{compact(header)}..{encoded(b'i' * 12)}.{encoded(json.dumps(valid.claims).encode())}.{encoded(b't' * 16)}"


def _twice(valid: Valid) -> str:
    """`alg` twice in the header: parsers differ about which one counts."""
    header = json.dumps(valid.header)[:-1] + ',"alg":"none"}'
    return valid.signed_text(encoded(header.encode()), compact(valid.claims))


def _claim_twice(valid: Valid) -> str:
    """Signed for the own account, with the other one appended by somebody without the key."""
    _, _, signature = valid.token.split(".")
    claims = json.dumps(valid.claims)[:-1] + f',"account":{valid.other_account}}}'
    return f"{compact(valid.header)}.{encoded(claims.encode())}.{signature}"


def _other_account(valid: Valid) -> str:
    header, _, signature = valid.token.split(".")
    return f"{header}.{compact(valid.claims | {'account': valid.other_account})}.{signature}"


def _padded(valid: Valid) -> str:
    return ".".join(part + "=" * (-len(part) % 4) for part in valid.token.split("."))


Now = Callable[[], int]
NOW: Final[Now] = lambda: int(time.time())  # noqa: E731

# By what was done.
TAMPERINGS: Final[Mapping[str, Callable[[Valid], str]]] = {
    # No signature.
    "alg none": lambda v: v.unsigned("none"),
    "alg None": lambda v: v.unsigned("None"),
    "alg NONE": lambda v: v.unsigned("NONE"),
    "alg nOnE with the signature": lambda v: v.unsigned("nOnE") + v.token.split(".")[2],
    "alg empty": lambda v: v.unsigned(""),
    "alg null": lambda v: v.unsigned(None),
    "alg a list": lambda v: v.unsigned(["HS256"]),
    "alg missing": lambda v: v.with_header(alg=None),
    "an empty signature": lambda v: v.token.rpartition(".")[0] + ".",
    "no signature": lambda v: v.token.rpartition(".")[0],
    # Another algorithm.
    "signed RS256 with a key of the attacker's": _with_rsa,
    "HS256 with a public key as the secret": lambda v: v.signed(v.header, v.claims, _rsa()[1]),
    "HS512 with the right key": lambda v: v.signed(v.header | {"alg": "HS512"}, v.claims, digest="sha512"),
    "HS384 in the header, HS256 in fact": lambda v: v.with_header(alg="HS384"),
    "alg ES256": lambda v: v.with_header(alg="ES256"),
    "alg hs256": lambda v: v.with_header(alg="hs256"),
    # Another key.
    "signed with the pepper itself": lambda v: v.signed(v.header, v.claims, v.peppers.by_name[v.header["kid"]]),
    "signed with nothing": lambda v: v.signed(v.header, v.claims, b""),
    "signed with the name of the key": lambda v: v.signed(v.header, v.claims, v.header["kid"].encode()),
    "kid missing": lambda v: v.with_header(kid=None),
    "kid unknown": lambda v: v.with_header(kid="other"),
    "kid a path": lambda v: v.signed(v.header | {"kid": "../../../../dev/null"}, v.claims, b""),
    "kid SQL": lambda v: v.signed(v.header | {"kid": "x' UNION SELECT 'k"}, v.claims, b"k"),
    "kid a number": lambda v: v.with_header(kid=0),
    "kid a list": lambda v: v.with_header(kid=[v.header["kid"]]),
    "kid an object": lambda v: v.with_header(kid={"a": 1}),
    "the attacker's key in the header": _embedded,
    "a key at a URL": lambda v: v.signed(
        v.header | {"jku": "http://127.0.0.1:1/k", "kid": "mine"}, v.claims, b"m" * 32
    ),
    "a certificate at a URL": lambda v: v.signed(
        v.header | {"x5u": "http://127.0.0.1:1/c", "kid": "mine"}, v.claims, b"m" * 32
    ),
    "a critical extension": lambda v: v.with_header(crit=["b64"], b64=False),
    "an unknown critical extension": lambda v: v.with_header(crit=["x"], x=1),
    # Other claims, signed by Luna's key: what another service with the same key could have issued.
    "another issuer": lambda v: v.with_claims(iss="other"),
    "issuer a list": lambda v: v.with_claims(iss=["luna"]),
    "issuer missing": lambda v: v.with_claims(iss=None),
    "another audience": lambda v: v.with_claims(aud="other"),
    "audience missing": lambda v: v.with_claims(aud=None),
    "another type": lambda v: v.with_header(typ="JWT"),
    "type missing": lambda v: v.with_header(typ=None),
    "type of an id token": lambda v: v.with_header(typ="id+jwt"),
    "type a list": lambda v: v.with_header(typ=["at+jwt"]),
    "account a word": lambda v: v.with_claims(account=str(v.claims["account"])),
    "account true": lambda v: v.with_claims(account=True),
    "account a fraction": lambda v: v.with_claims(account=v.claims["account"] + 0.5),
    "account beyond 31 bits": lambda v: v.with_claims(account=2**31),
    "account negative": lambda v: v.with_claims(account=-1),
    "key a number": lambda v: v.with_claims(key=1),
    "key of another kind": lambda v: v.with_claims(key="session:00000000-0000-0000-0000-000000000000"),
    "key of nobody": lambda v: v.with_claims(key="luna_00000000"),
    "role unknown": lambda v: v.with_claims(role="owner"),
    "role a number": lambda v: v.with_claims(role=9),
    "subject missing": lambda v: v.with_claims(sub=None),
    "subject a number": lambda v: v.with_claims(sub=v.other_account),
    "issue time missing": lambda v: v.with_claims(iat=None),
    "issued tomorrow": lambda v: v.with_claims(iat=NOW() + 86_400, exp=NOW() + 87_000),
    "expiry missing": lambda v: v.with_claims(exp=None),
    "expired": lambda v: v.with_claims(iat=NOW() - 2000, exp=NOW() - LEEWAY_S - 5),
    "expiry a word": lambda v: v.with_claims(exp="never"),
    "expiry infinite": lambda v: v.signed_text(
        compact(v.header), encoded(json.dumps(v.claims | {"exp": float("inf")}).encode())
    ),
    "not valid before tomorrow": lambda v: v.with_claims(nbf=NOW() + 86_400),
    "claims a list": lambda v: v.signed(v.header, [v.claims]),
    "claims no JSON": lambda v: v.signed_text(compact(v.header), encoded(b"{")),
    "header no object": lambda v: v.signed_text(compact("HS256"), compact(v.claims)),
    # Without the key.
    "another account's id with the old signature": _other_account,
    "another account's id twice with the old signature": _claim_twice,
    "the header's alg twice": _twice,
    # Another form.
    "cut short": lambda v: v.token[:-4],
    "a fourth part": lambda v: v.token + "." + v.token.split(".")[2],
    "two parts": lambda v: v.token.split(".", 1)[1],
    "encrypted (JWE)": _jwe,
    "with padding": _padded,
    "a character that is no base64": lambda v: v.token[:-5] + "*" + v.token[-4:],
    "the signature in plain base64": lambda v: v.token.rpartition(".")[0] + "." + "+/" * 21 + "A",
    "a no-break space inside": lambda v: v.token.replace(".", ".\u00a0", 1),
    "a zero-width space's bytes inside": lambda v: v.token.replace(".", "\u200b".encode().decode("latin-1") + ".", 1),
    "twice": lambda v: f"{v.token},{v.token}",
    "dots": lambda v: "..",
}
