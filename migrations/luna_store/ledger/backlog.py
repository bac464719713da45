"""What waits in Redis for settlement: how much, and for how long. Asked of Redis alone: Postgres may be away."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis.asyncio import Redis

from luna_store.quota import redis_keys

# Accounts looked at: two short commands each, some milliseconds of Redis' time in all.
LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that Postgres has not heard of."""

    events: int
    """Extrapolated where more than `LOOKED_AT` accounts have some."""
    oldest_age_s: float
    """Of the oldest event that was seen, on the clock of Redis; 0 without one."""


async def backlog(redis: Redis, unfinished: Iterable[int] = ()) -> Backlog:
    """Look at the accounts that are marked, and at those whose mark was taken but that are not settled yet."""
    marks = await redis.scard(redis_keys.UNSETTLED)
    marked = await cast("Awaitable[list[str]]", redis.srandmember(redis_keys.UNSETTLED, LOOKED_AT))
    known = set(unfinished)
    every = {*known, *map(int, marked)}
    looked_at = list(islice(every, LOOKED_AT))
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    for account_id in looked_at:
        pipe.xlen(redis_keys.events(account_id))
        pipe.xrange(redis_keys.events(account_id), count=1)
    (seconds, micros), *replies = await pipe.execute()
    events, firsts = sum(replies[::2]), [entries[0][0] for entries in replies[1::2] if entries]
    oldest_ms = min((int(entry.partition("-")[0]) for entry in firsts), default=None)
    unseen = max(len(every), marks) / max(1, len(looked_at))
    age_s = 0.0 if oldest_ms is None else max(0.0, seconds + micros / 1e6 - oldest_ms / 1000)
    return Backlog(round(events * unseen), age_s)
