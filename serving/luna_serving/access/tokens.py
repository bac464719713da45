"""Access tokens: JWTs (RFC 7519, RFC 9068) signed HS256, of an API key (RFC 6749 section 4.4) or of a person's session.

A token names the key or the session that it was issued for, so ending either ends its tokens at once.
"""

import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import jwt

from luna_store.accounts.api_keys import Peppers
from luna_store.accounts.tables import MAX_ACCOUNT_ID
from luna_store.people.roles import Role

ALGORITHM: Final = "HS256"
# RFC 9068, section 2.1: no other kind of JWT passes for an access token.
TYPE: Final = "at+jwt"
# Leeway for clocks: one replica issues a token and another verifies it.
LEEWAY_S: Final = 10
# A token of ours has some 400 characters.
MAX_CHARACTERS: Final = 2048
REQUIRED: Final = ["iss", "aud", "exp", "iat", "sub", "account", "key"]


class InvalidToken(Exception):
    """The token was not issued by this installation, was altered, or has expired; get a new one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token."""

    account_id: int
    key_prefix: str
    """Names the key or the session that it was issued for."""
    role: Role = Role.MEMBER
    user_id: uuid.UUID | None = None
    """The person of the session; None for a token of a key."""


class Tokens:
    """Issues and verifies tokens. The signing keys are derived from the peppers, whose names are sent as `kid`."""

    def __init__(self, peppers: Peppers, lifetime_s: int, *, issuer: str = "luna", audience: str = "luna") -> None:
        # Derived, so that no secret serves two purposes.
        self._keys: Mapping[str, bytes] = {
            name: hmac.new(secret, b"luna token signing", sha256).digest() for name, secret in peppers.by_name.items()
        }
        self._current = peppers.current
        self._issuer = issuer
        self._audience = audience
        self.lifetime_s = lifetime_s

    def issue(self, token: Token) -> str:
        """Sign a token that is valid from now on."""
        now = datetime.now(UTC)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(token.user_id or token.account_id),
            "account": token.account_id,
            "key": token.key_prefix,
            "iat": now,
            "exp": now + timedelta(seconds=self.lifetime_s),
        }
        if token.user_id is not None:
            claims["role"] = token.role.word
        return jwt.encode(claims, self._keys[self._current], ALGORITHM, headers={"kid": self._current, "typ": TYPE})

    def verify(self, presented: str) -> Token:
        """Check signature, type, issuer, audience and time.

        Raises:
            InvalidToken: one of them is wrong.
        """
        try:
            if len(presented) > MAX_CHARACTERS:
                raise ValueError("too long")
            header = jwt.get_unverified_header(presented)
            if header["typ"] != TYPE:
                raise ValueError("another kind of token")
            claims = jwt.decode(
                presented,
                self._keys[header["kid"]],
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": REQUIRED},
            )
            return _token(claims)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as e:
            raise InvalidToken(
                "The token is not valid or has expired. Get a new one at /api/v1/auth/token, or for a person at "
                "/api/v1/auth/refresh."
            ) from e


def _token(claims: Mapping[str, Any]) -> Token:
    account_id, prefix = claims["account"], claims["key"]
    if type(account_id) is not int or not 0 < account_id <= MAX_ACCOUNT_ID or not isinstance(prefix, str):
        raise ValueError("claims of the wrong type")
    is_session = prefix.startswith("session:")
    if is_session != ("role" in claims):
        raise ValueError("a role without a session, or a session without a role")
    if not is_session:
        return Token(account_id, prefix)
    role = Role.of(claims["role"])
    # The debit script looks up the session with its role, so the claim beside it must say the same.
    if prefix.rpartition(":")[2] != role.word:
        raise ValueError("another role than the session's")
    return Token(account_id, prefix, role, uuid.UUID(claims["sub"]))
