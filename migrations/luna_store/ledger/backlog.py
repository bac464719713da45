"""How many events wait in Redis for settlement, and for how long. Reads Redis alone: Postgres may be down."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis.asyncio import Redis

from luna_store.quota import redis_keys

# Accounts that are read: two short commands each, a few milliseconds of Redis' time in all.
LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that are not in Postgres yet."""

    events: int
    """Extrapolated if more than `LOOKED_AT` accounts have events."""
    oldest_age_s: float
    """Age of the oldest event that was seen, on the clock of Redis; 0 without events."""


async def backlog(redis: Redis, unfinished: Iterable[int] = ()) -> Backlog:
    """Read the marked accounts, and those whose mark was taken and that are not settled yet."""
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
