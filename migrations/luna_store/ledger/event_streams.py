"""Reading and trimming the streams of unsettled events."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from redis.asyncio import Redis

from luna_store.ledger.booking import Event
from luna_store.quota import redis_keys


async def read_events(redis: Redis, account_id: int, count: int | None = None) -> list[Event]:
    """At most `count` (None: all) unsettled events of one account, oldest first."""
    return await read_many(redis, [account_id], count)


async def read_many(redis: Redis, account_ids: Sequence[int], count: int | None) -> list[Event]:
    """At most `count` events (None: all) of each account, oldest first, in one round trip."""
    pipe = redis.pipeline(transaction=False)
    for account_id in account_ids:
        pipe.xrange(redis_keys.events(account_id), count=count)
    replies = await pipe.execute()
    return [
        Event.parse(account_id, entry, fields)
        for account_id, entries in zip(account_ids, replies, strict=True)
        for entry, fields in entries
    ]


async def waiting(redis: Redis, account_ids: Sequence[int]) -> list[int]:
    """The accounts, of those given, whose stream is not empty."""
    pipe = redis.pipeline(transaction=False)
    for account_id in account_ids:
        pipe.xlen(redis_keys.events(account_id))
    return [i for i, length in zip(account_ids, await pipe.execute(), strict=True) if length]


async def delete_events(redis: Redis, events: Iterable[Event]) -> None:
    """Remove settled events by their exact ids: after a clock went back, a trim could remove newer events."""
    pipe = redis.pipeline(transaction=False)
    for account_id, group in groupby(events, key=lambda e: e.account_id):
        pipe.xdel(redis_keys.events(account_id), *(e.entry_id for e in group))
    if len(pipe):
        await pipe.execute()
