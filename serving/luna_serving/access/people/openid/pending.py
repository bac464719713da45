"""Sign-ins that have begun, in Redis: each is taken once, within ten minutes."""

import hmac
import secrets
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Final

import orjson
from redis.asyncio import Redis

from luna_store.quota import redis_keys

LIFETIME_S: Final = 600


@dataclass(frozen=True, slots=True, repr=False)
class Pending:
    """A sign-in that has begun."""

    provider: str
    account_id: int | None
    nonce: str
    verifier: str
    """Of PKCE: only the program that began the sign-in can redeem its code."""
    browser: str
    """SHA-256 of the cookie that the browser got."""

    def of_browser(self, cookie: str) -> bool:
        """Whether a browser with this cookie began it."""
        return hmac.compare_digest(self.browser, digest(cookie))


class TooManyStarts(Exception):
    """The address began too many sign-ins; wait some minutes."""


class PendingSignIns:
    """Keeps them. Does not own the client."""

    def __init__(self, redis: Redis, most_per_address: int) -> None:
        self._redis = redis
        self._most = most_per_address

    async def keep(self, pending: Pending, address: str) -> str:
        """Keep a sign-in; returns its state.

        Raises:
            TooManyStarts: the address began too many. Redis' memory is the accounts', too.
            RedisError: Redis did not answer.
        """
        state = secrets.token_urlsafe(32)
        counter = redis_keys.openid_starts(address)
        counting = self._redis.pipeline(transaction=False)
        counting.incr(counter)
        counting.expire(counter, LIFETIME_S, nx=True)
        begun, _ = await counting.execute()
        if begun > self._most:
            raise TooManyStarts
        await self._redis.set(redis_keys.openid_state(digest(state)), orjson.dumps(asdict(pending)), ex=LIFETIME_S)
        return state

    async def take(self, state: str) -> Pending | None:
        """The sign-in of a state, which is forgotten; None if it was never begun, was taken, or is over.

        Raises:
            RedisError: Redis did not answer.
        """
        kept = await self._redis.getdel(redis_keys.openid_state(digest(state)))
        return None if kept is None else Pending(**orjson.loads(kept))


def digest(text: str) -> str:
    """SHA-256, hexadecimal: of 256 random bits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
