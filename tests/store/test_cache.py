"""Redis is kept in step with Postgres: rebuilt one by one or in batches, and compared without false alarms."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from tests.store.stores import Caller, Store

from luna_store.quota.debits import Outcome
from luna_store.quota.windows import QuotaWindow

DAY = timedelta(days=1)


def hash_of(caller: Caller) -> str:
    return f"account:{{{caller.account_id}}}"


async def index_of(store: Store, caller: Caller) -> str:
    digest = await store.scalar("SELECT digest FROM api_keys WHERE prefix = :p", p=caller.key.prefix)
    return f"key:{digest}"


DRIFTS: dict[str, Callable[[Store, Caller], Awaitable[object]]] = {
    "the hash is gone": lambda s, c: s.redis.delete(hash_of(c)),
    "the quota is gone": lambda s, c: s.redis.delete(f"user:{{{c.account_id}}}:quota"),
    "a limit was changed": lambda s, c: s.redis.hset(hash_of(c), "quota_limit", 10**6),
    "a limit is missing": lambda s, c: s.redis.hdel(hash_of(c), "max_series"),
    "the state was changed": lambda s, c: s.redis.hset(hash_of(c), "state", "suspended"),
    "the epoch is another": lambda s, c: s.redis.hincrby(hash_of(c), "epoch", 1),
    "a key is missing": lambda s, c: s.redis.hdel(hash_of(c), f"key:{c.key.prefix}"),
    "a key was slipped in": lambda s, c: s.redis.hset(hash_of(c), "key:luna_aaaaaaaa", f"{'0' * 64}:0"),
    "the row was changed behind our back": lambda s, c: s.execute("UPDATE accounts SET rate_burst = 7"),
    "a key was revoked behind our back": lambda s, c: s.execute("UPDATE api_keys SET revoked_at = now()"),
}


async def lose_the_index(store: Store, caller: Caller) -> None:
    await store.redis.delete(await index_of(store, caller))


async def misdirect_the_index(store: Store, caller: Caller) -> None:
    await store.redis.set(await index_of(store, caller), 404)


@pytest.mark.parametrize(
    "damage",
    [*DRIFTS.values(), lose_the_index, misdirect_the_index],
    ids=[*DRIFTS, "the key's index entry is gone", "the key's index entry is another's"],
)
async def test_what_differs_is_found_and_repaired_by_a_rebuild(
    store: Store, damage: Callable[[Store, Caller], Awaitable[object]]
) -> None:
    caller = await store.account()
    assert await store.cache.drifted([caller.account_id]) == set()
    await damage(store, caller)
    other = await store.account()
    assert await store.cache.drifted([caller.account_id, other.account_id, 404]) == {caller.account_id}
    await store.cache.rebuild(caller.account_id)
    assert await store.cache.drifted([caller.account_id, other.account_id]) == set()


async def test_an_index_entry_of_a_revoked_key_is_found_and_removed(store: Store) -> None:
    caller = await store.account()
    entry = await index_of(store, caller)
    await store.accounts.revoke_key(caller.key.prefix)
    await store.cache.rebuild(caller.account_id)
    assert await store.cache.drifted([caller.account_id]) == set()
    # As a rebuild leaves it whose transaction was ended after it had begun to write to Redis.
    await store.redis.set(entry, caller.account_id)
    assert await store.cache.drifted([caller.account_id]) == {caller.account_id}
    await store.cache.rebuild(caller.account_id)
    assert await store.redis.get(entry) is None


async def test_a_wiped_redis_has_drifted_in_every_account(store: Store) -> None:
    callers = [await store.account() for _ in range(5)]
    ids = [caller.account_id for caller in callers]
    await store.redis.flushdb()
    assert await store.cache.drifted(ids) == set(ids)
    assert await store.cache.rebuild_many(ids) == set(ids)
    assert await store.cache.drifted(ids) == set()
    assert await store.cache.drifted([]) == set()


async def test_what_makes_no_difference_is_no_drift(store: Store) -> None:
    caller = await store.account(
        quota_window=QuotaWindow.DAY, allowed_models=["b", "a"], expires_at=None, max_series_length=5
    )
    _, newer = await store.accounts.rotate_key(caller.account_id, timedelta(milliseconds=300))
    await store.cache.rebuild(caller.account_id)
    assert await store.cache.drifted([caller.account_id]) == set()
    await asyncio.sleep(0.4)  # the old key has ended; its field is still there
    assert await store.redis.hexists(hash_of(caller), f"key:{caller.key.prefix}")
    await store.redis.hset(hash_of(caller), "of_a_newer_release", "1")
    await store.quota.debit([Caller(caller.account_id, newer).debit(3)])
    assert await store.cache.drifted([caller.account_id]) == set()


async def test_stale_and_locked_accounts_are_left_to_those_who_rebuild_them(store: Store) -> None:
    stale, locked = await store.account(), await store.account()
    await store.redis.flushdb()
    await store.execute("UPDATE accounts SET cache_stale = true WHERE id = :id", id=stale.account_id)
    async with store.engine.begin() as connection:
        await connection.execute(text("SELECT FROM accounts WHERE id = :id FOR UPDATE"), {"id": locked.account_id})
        assert await store.cache.drifted([stale.account_id, locked.account_id]) == set()
    assert await store.cache.drifted([stale.account_id, locked.account_id]) == {locked.account_id}


async def test_nothing_has_drifted_while_accounts_are_debited_changed_and_rebuilt(store: Store) -> None:
    callers = [await store.account(quota_limit=10**6) for _ in range(4)]
    ids = [caller.account_id for caller in callers]
    done = asyncio.Event()

    async def debit() -> int:
        count = 0
        while not done.is_set():
            count += sum(d.admitted for d in await store.quota.debit([c.debit() for c in callers[2:]]))
        return count

    async def change() -> int:
        count = 0
        while not done.is_set():
            for i in ids[:2]:
                await store.accounts.rotate_key(i, timedelta(milliseconds=30))
                count += await store.cache.rebuild(i)
            await store.accounts.update(ids[2], rate_burst=10_000 + count)
        return count

    async def rebuild() -> int:
        count = 0
        while not done.is_set():
            count += len(await store.cache.rebuild_many(ids))
            await store.settler.settle()
        return count

    tasks = [asyncio.create_task(work()) for work in (debit, change, rebuild, rebuild)]
    looks = 0
    async with asyncio.timeout(60):
        while looks < 150:
            assert await store.cache.drifted(ids) == set()
            looks += 1
    done.set()
    assert all(count > 0 for count in await asyncio.gather(*tasks))
    await store.settler.settle()
    assert await store.cache.drifted(ids) == set()


async def test_a_batch_settles_and_rolls_every_account_in_it(store: Store) -> None:
    daily, plain = (
        await store.account(quota_limit=10, quota_window=QuotaWindow.DAY),
        await store.account(quota_limit=10),
    )
    await store.quota.debit([daily.debit(4), plain.debit(3), plain.debit(2)])
    await store.settler.settle()
    await store.execute(
        "UPDATE accounts SET window_started_at = window_started_at - interval '1 day' WHERE id = :id",
        id=daily.account_id,
    )
    await store.execute("UPDATE usage_events SET occurred_at = occurred_at - interval '1 day'")
    await store.quota.debit([plain.debit(1)])
    ids = [daily.account_id, plain.account_id]
    assert await store.cache.rebuild_many([404, *ids]) == set(ids)
    assert [await store.used(i) for i in ids] == [0, 6]
    assert [await store.left(i) for i in ids] == [10, 4]
    assert await store.redis.xlen(f"user:{{{plain.account_id}}}:events") == 0


async def test_a_batch_leaves_out_locked_accounts_and_a_single_rebuild_waits_for_them(store: Store) -> None:
    locked, free = await store.account(), await store.account()
    async with store.engine.begin() as connection:
        await connection.execute(text("SELECT FROM accounts WHERE id = :id FOR UPDATE"), {"id": locked.account_id})
        assert await store.cache.rebuild_many([locked.account_id, free.account_id]) == {free.account_id}
        waiting = asyncio.create_task(store.cache.rebuild(locked.account_id))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert await waiting is True


async def test_a_script_that_redis_has_forgotten_is_sent_again(store: Store) -> None:
    callers = [await store.account() for _ in range(3)]
    await store.redis.script_flush()
    await store.redis.flushdb()
    ids = [caller.account_id for caller in callers]
    assert await store.cache.rebuild_many(ids) == set(ids)
    assert all(d.admitted for d in await store.quota.debit([c.debit() for c in callers]))


async def test_a_redis_that_refuses_leaves_the_account_stale(store: Store) -> None:
    caller = await store.account()
    await store.execute("UPDATE accounts SET cache_stale = true")
    await store.redis.delete(f"user:{{{caller.account_id}}}:events")
    await store.redis.set(f"user:{{{caller.account_id}}}:events", "no stream")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await store.cache.rebuild(caller.account_id)
    assert await store.cache.stale_accounts(1) == [caller.account_id]


async def test_a_forgotten_account_leaves_nothing_in_redis(store: Store) -> None:
    caller = await store.account()
    await store.quota.debit([caller.debit()])
    _, digests = await store.accounts.delete(caller.account_id, retain=False)
    await store.cache.forget(caller.account_id, digests)
    assert (await store.quota.debit([caller.debit()]))[0].outcome is Outcome.UNKNOWN
    assert [k async for k in store.redis.scan_iter(f"*{{{caller.account_id}}}*")] == []
    assert [k async for k in store.redis.scan_iter("key:*")] == []
