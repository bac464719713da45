"""Buckets in Redis, shared by all replicas: the scripts of `lua/`."""

from importlib.resources import files

from redis.asyncio import Redis
from redis.exceptions import RedisError

from luna_serving.access.throttle.policy import Bucket, Refused, Taken
from luna_store.quota.debits import StoreUnavailable

_SCRIPTS = files("luna_serving.access.throttle") / "lua"


class RedisBuckets:
    """One round trip per attempt, by Redis' clock. Does not own the client."""

    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script((_SCRIPTS / "take.lua").read_text())
        self._give_back = redis.register_script((_SCRIPTS / "give_back.lua").read_text())

    async def take(self, buckets: tuple[Bucket, ...]) -> Taken | Refused:
        """Take one attempt from each bucket, or none.

        Raises:
            StoreUnavailable: Redis did not answer, or cannot write.
        """
        limits = [(b.policy.attempts, b.policy.refill_us, b.policy.block_us) for b in buckets]
        try:
            taken, number = await self._take(keys=[b.key for b in buckets], args=[n for three in limits for n in three])
        except (RedisError, OSError) as e:
            raise StoreUnavailable("Redis", uncertain=True) from e
        return Taken(int(number)) if taken else Refused(int(number) / 1e6)

    async def give_back(self, buckets: tuple[Bucket, ...]) -> None:
        """Give one attempt back to each bucket, and end its block.

        Raises:
            StoreUnavailable: Redis did not answer, or cannot write.
        """
        try:
            await self._give_back(keys=[b.key for b in buckets], args=[b.policy.refill_us for b in buckets])
        except (RedisError, OSError) as e:
            raise StoreUnavailable("Redis", uncertain=True) from e
