"""The histories that all replicas share, in Redis: values, locks, and the bytes that they may take.

The quota's keys are in the same Redis, which never evicts (docs/configuration.md). So the cache keeps a budget of its
own: every key expires, and `budget.lua` removes the oldest entries beyond `most_bytes`. It touches no key but its own.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, RedisError

PACKAGE: Final = "luna_serving.capabilities.indicators.cache"
# In one slot of a cluster.
INDEX: Final = "indicators:{kept}:index"
BYTES: Final = "indicators:{kept}:bytes"
LOCK: Final = ":computing"
_RAW: Final[Mapping[str, Any]] = {NEVER_DECODE: True}
# Removes a lock if it is still the holder's.
_UNLOCK: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end return 0"


class CacheGone(Exception):
    """Redis did not answer, or refused. Compute instead."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A value with the time that it has left."""

    data: bytes
    left_s: float


@dataclass(frozen=True, slots=True)
class Write:
    """A value to keep."""

    key: str
    data: bytes
    keep_s: float


class SharedCache:
    """Does not own the client."""

    def __init__(self, redis: Redis, *, most_bytes: int, longest_s: float) -> None:
        """Wire it.

        Args:
            redis: decodes answers; values are read undecoded.
            most_bytes: all entries together, keys without their overhead in Redis.
            longest_s: the longest time that an entry is kept.
        """
        self._redis = redis
        self._most_bytes = most_bytes
        self._longest_ms = int(longest_s * 1e3)
        self._budget = redis.register_script((files(PACKAGE) / "budget.lua").read_text())
        self._unlock = redis.register_script(_UNLOCK)

    async def get(self, keys: Sequence[str]) -> list[Stored | None]:
        """The values of keys, in one round trip.

        Raises:
            CacheGone: Redis did not answer.
        """
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.execute_command("GET", key, **_RAW)
            pipe.pttl(key)
        replies = await self._executed(pipe)
        return [
            Stored(data, left / 1e3) if isinstance(data, bytes) and left > 0 else None
            for data, left in zip(replies[::2], replies[1::2], strict=True)
        ]

    async def lock(self, keys: Sequence[str], lease_s: float) -> dict[str, str]:
        """Take the locks of keys that nobody has; the token of each that was taken.

        Raises:
            CacheGone: Redis did not answer.
        """
        token = secrets.token_hex(8)
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.set(key + LOCK, token, nx=True, px=max(1, int(lease_s * 1e3)))
        replies = await self._executed(pipe)
        return {key: token for key, taken in zip(keys, replies, strict=True) if taken}

    async def put(self, writes: Sequence[Write], tokens: Mapping[str, str]) -> None:
        """Keep values, give their locks back, and remove what is beyond the budget.

        Raises:
            CacheGone: Redis did not answer, or has no memory left.
        """
        now_ms = int(time.time() * 1e3)
        for attempt in range(2):
            pipe = self._redis.pipeline(transaction=False)
            for write in writes:
                pipe.set(write.key, write.data, px=max(1, int(write.keep_s * 1e3)))
                member = f"{len(write.data)}:{write.key}"
                pipe.evalsha(self._budget.sha, 2, INDEX, BYTES, member, now_ms, self._longest_ms, self._most_bytes)
            for key, token in tokens.items():
                pipe.evalsha(self._unlock.sha, 1, key + LOCK, token)
            try:
                replies = await self._executed(pipe)
            except CacheGone as e:
                if attempt or not isinstance(e.__cause__, NoScriptError):
                    raise
                # A restarted server has lost the scripts.
                await self._load()
            else:
                gone = [member for reply in replies[1 : 2 * len(writes) : 2] for member in reply]
                if gone:
                    pipe = self._redis.pipeline(transaction=False)
                    pipe.unlink(*(cast("str", member).partition(":")[2] for member in gone))
                    await self._executed(pipe)
                return

    async def unlock(self, tokens: Mapping[str, str]) -> None:
        """Give locks back without a value.

        Raises:
            CacheGone: Redis did not answer; they expire.
        """
        await self.put((), tokens)

    async def _load(self) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for script in (self._budget, self._unlock):
            pipe.script_load(script.script)
        await self._executed(pipe)

    @staticmethod
    async def _executed(pipe: Any) -> list[Any]:  # noqa: ANN401  a pipeline of redis-py
        try:
            replies: list[Any] = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as e:
            raise CacheGone(str(e)) from e
        for reply in replies:
            if isinstance(reply, RedisError):
                raise CacheGone(str(reply)) from reply
        return replies
