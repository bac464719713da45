"""Parses the API key or token of a request, without looking it up."""

import uuid
from dataclasses import dataclass
from functools import lru_cache

from luna_serving.access.tokens import InvalidToken, Token, Tokens
from luna_serving.wire import problems
from luna_store.accounts.api_keys import ApiKey, MalformedKey, Peppers
from luna_store.people.roles import Role

RECENT_KEYS = 4096
BEARER = frozenset({"bearer"})
"""The scheme of Authorization that every route takes (RFC 6750)."""
WITH_TOKEN = frozenset({"bearer", "token"})
"""For routes whose clients speak InfluxDB's protocol: `Authorization: Token <key>`."""
NO_CREDENTIAL = "Send your API key as X-API-Key, or as Authorization: Bearer <key>."


@dataclass(frozen=True, slots=True)
class Credential:
    """A well-formed key or token."""

    key_prefix: str
    """Names the key, or the session of a person, in the account's hash."""
    key_digests: tuple[str, ...]
    """The key's digest under each pepper; empty for a token, whose signature has been verified."""
    token_account: int | None = None
    """The account that a token was issued to; None for a key."""
    key: ApiKey | None = None
    role: Role = Role.MEMBER
    """What the caller may do. A key, and a token of a key, acts as a member."""
    user_id: uuid.UUID | None = None
    """The person who signed in; None for a key and its tokens."""

    @classmethod
    def of_token(cls, token: Token) -> "Credential":
        """The credential of a verified token."""
        return cls(token.key_prefix, (), token_account=token.account_id, role=token.role, user_id=token.user_id)

    @property
    def principal(self) -> str:
        """Who calls, for logs: the prefix of a key, or `user:` and the person's id."""
        return self.key_prefix if self.user_id is None else f"user:{self.user_id}"


def session_of(credential: Credential) -> uuid.UUID | None:
    """The session of a person's credential; None for a key and its tokens."""
    kind, _, rest = credential.key_prefix.partition(":")
    return uuid.UUID(rest.partition(":")[0]) if kind == "session" else None


class Authenticator:
    """Reads `X-API-Key: <key>` or `Authorization: Bearer <key or JWT>`; of some routes other schemes, too."""

    def __init__(self, peppers: Peppers, tokens: Tokens) -> None:
        self._peppers = peppers
        self._tokens = tokens
        # Cached: digesting a key costs as much as parsing a hundred numbers, and most calls come from a few keys.
        self._recognise = lru_cache(RECENT_KEYS)(self._credential)

    def read(self, api_key: bytes | None, authorization: bytes | None, schemes: frozenset[str] = BEARER) -> Credential:
        """The caller's credential.

        Args:
            api_key: the header X-API-Key.
            authorization: the header Authorization.
            schemes: of Authorization that the route takes, in lower case.

        Raises:
            Problem: 401, it is missing or malformed.
        """
        if api_key is not None:
            return self.of_key(api_key.decode("latin-1"))
        if authorization is None:
            raise problems.unauthenticated(NO_CREDENTIAL, problems.NotPresented)
        scheme, _, presented = authorization.decode("latin-1").partition(" ")
        if scheme.lower() not in schemes:
            raise problems.unauthenticated("Use the Bearer scheme: Authorization: Bearer <key or token>.")
        presented = presented.strip()
        if presented.startswith("luna_"):
            return self.of_key(presented)
        try:
            token = self._tokens.verify(presented)
        except InvalidToken as e:
            raise problems.unauthenticated(str(e)) from e
        return Credential.of_token(token)

    def of_key(self, presented: str) -> Credential:
        """The credential for an API key.

        Raises:
            Problem: 401, it is malformed.
        """
        try:
            return self._recognise(presented.strip())
        except MalformedKey as e:
            raise problems.unauthenticated(str(e)) from e

    def _credential(self, presented: str) -> Credential:
        key = ApiKey.parse(presented)
        return Credential(key.prefix, tuple(self._peppers.digests(key)), key=key)
