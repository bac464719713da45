"""Fifteen-minute tokens: RFC 6749 section 4.4 (client credentials) with RFC 7519 JWTs, signed HS256.

A token names the key that it was issued for, so revoking the key ends its tokens at once.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import jwt

from luna_store.accounts.api_keys import Peppers

ISSUER = "luna"
ALGORITHM = "HS256"
# Leeway for clocks: one replica issues a token and another verifies it.
LEEWAY_S = 10


class InvalidToken(Exception):
    """The token was not issued by this installation, was altered, or has expired; get a new one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token."""

    account_id: int
    key_prefix: str


class Tokens:
    """Issues and verifies tokens. The signing keys are derived from the peppers, whose names are sent as `kid`."""

    def __init__(self, peppers: Peppers, lifetime_s: int) -> None:
        # Derived, so that no secret serves two purposes.
        self._keys: Mapping[str, bytes] = {
            name: hmac.new(secret, b"luna token signing", sha256).digest() for name, secret in peppers.by_name.items()
        }
        self._current = peppers.current
        self.lifetime_s = lifetime_s

    def issue(self, token: Token) -> str:
        """Sign a token that is valid from now on."""
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "sub": str(token.account_id),
            "key": token.key_prefix,
            "iat": now,
            "exp": now + timedelta(seconds=self.lifetime_s),
        }
        return jwt.encode(claims, self._keys[self._current], ALGORITHM, headers={"kid": self._current})

    def verify(self, presented: str) -> Token:
        """Check signature, issuer and time.

        Raises:
            InvalidToken: one of them is wrong.
        """
        try:
            key = self._keys[jwt.get_unverified_header(presented)["kid"]]
            claims = jwt.decode(
                presented,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "key"]},
            )
            return Token(int(claims["sub"]), str(claims["key"]))
        except (jwt.InvalidTokenError, KeyError, ValueError) as e:
            raise InvalidToken("The token is not valid or has expired. Get a new one at /api/v1/auth/token.") from e
