"""Every debit reaches Postgres exactly once: replays, twins, kills, restarts and wipes."""

import asyncio
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.exceptions import RedisError
from sqlalchemy import text
from tests.store.stores import Caller, Store

from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.ledger.booking import book
from luna_store.ledger.event_streams import read_events
from luna_store.ledger.usage import usage
from luna_store.platform.leadership import leadership
from luna_store.quota.debits import Outcome, StoreUnavailable
from luna_store.quota.windows import QuotaWindow
from luna_store.settlement.settlement import LOCK

SETTLE = """
import asyncio, sys
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client
from luna_store.settlement.settlement import Settler
asyncio.run(Settler(async_engine(sys.argv[1]), redis_client(sys.argv[2]), interval_s=0.01).run(asyncio.Event()))
"""


async def test_a_batch_that_is_read_twice_is_booked_once(store: Store) -> None:
    caller = await store.account()
    await store.quota.debit([caller.debit(2) for _ in range(5)])
    events = await read_events(store.redis, caller.account_id)
    for expected in (5, 0, 0):  # killed after the commit, before the delete: the same events again
        async with store.engine.begin() as connection:
            assert await book(connection, events) == expected
    assert await store.used(caller.account_id) == 10
    await store.settler.settle()
    assert await store.used(caller.account_id) == 10
    assert await read_events(store.redis, caller.account_id) == []


async def test_a_transaction_that_fails_loses_nothing(store: Store) -> None:
    caller = await store.account()
    await store.quota.debit([caller.debit()])
    events = await read_events(store.redis, caller.account_id)

    async def fail_before_the_commit() -> None:
        async with store.engine.begin() as connection:
            await book(connection, events)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_before_the_commit()
    assert await store.used(caller.account_id) == 0
    await store.settler.settle()
    assert await store.used(caller.account_id) == 1


async def test_more_events_than_a_batch_holds_are_all_booked(store: Store) -> None:
    caller = await store.account(quota_limit=10_000)
    for _ in range(13):
        await store.quota.debit([caller.debit() for _ in range(100)])
    await store.settler.settle()
    assert await store.used(caller.account_id) == 1300


async def test_events_of_an_account_without_a_mark_are_found_by_the_sweep(store: Store) -> None:
    caller = await store.account()
    await store.settler.settle()
    await store.quota.debit([caller.debit()])
    await store.redis.delete("luna:unsettled")
    store.settler._swept_at = -1e9
    await store.settler.settle()
    assert await store.used(caller.account_id) == 1


@pytest.mark.parametrize("redis_first", [True, False])
async def test_a_debit_that_both_stores_took_counts_once(store: Store, redis_first: bool) -> None:
    caller = await store.account(quota_limit=10)
    debit = caller.debit(4)
    assert (await store.quota.debit([debit]))[0].admitted  # and its answer is lost
    if redis_first:
        await store.settler.settle()
    assert (await store.fallback.debit(debit, uncertain=True)).admitted
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 4
    assert await store.left(caller.account_id) == 6


@pytest.mark.parametrize("redis_first", [True, False])
async def test_a_denial_undoes_what_redis_may_have_taken(store: Store, redis_first: bool) -> None:
    caller = await store.account(quota_limit=10)
    debit = caller.debit(4)
    await store.quota.debit([debit])
    if redis_first:
        await store.settler.settle()
    await store.accounts.update(caller.account_id, state="suspended")
    decision = await store.fallback.debit(debit, uncertain=True)
    assert decision.outcome is Outcome.SUSPENDED
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 0
    assert await store.left(caller.account_id) == 10


@pytest.mark.parametrize("settled", [True, False])
async def test_a_void_nets_to_nothing_however_often(store: Store, settled: bool) -> None:
    caller = await store.account(quota_limit=10)
    debit = caller.debit(4)
    await store.quota.debit([debit])
    if settled:
        await store.settler.settle()
    assert await store.fallback.void(debit) is True
    assert await store.fallback.void(debit) is False
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 0
    assert await store.left(caller.account_id) == 10


async def test_calls_booked_in_postgres_are_taken_from_redis_when_it_is_back(store: Store) -> None:
    caller = await store.account(quota_limit=10)
    await store.quota.debit([caller.debit(1)])
    await store.fallback.debit(caller.debit(5), uncertain=False)
    await store.settler.settle()
    await store.settler.settle()
    assert await store.left(caller.account_id) == 4
    assert await store.used(caller.account_id) == 6


async def test_a_rebuild_amid_debits_neither_gives_nor_takes(store: Store) -> None:
    caller = await store.account(quota_limit=100_000)
    done = asyncio.Event()

    async def call() -> int:
        count = 0
        while not done.is_set():
            count += sum(d.admitted for d in await store.quota.debit([caller.debit(2), caller.debit(1)]))
        return count

    calls = [asyncio.create_task(call()) for _ in range(4)]
    for _ in range(40):
        await store.cache.rebuild(caller.account_id)
        await store.settler.settle()
    done.set()
    admitted = sum(await asyncio.gather(*calls))
    assert admitted > 100
    await store.settler.settle()
    used = await store.used(caller.account_id)
    assert used == admitted * 3 // 2
    assert await store.left(caller.account_id) == 100_000 - used


async def test_a_wiped_redis_is_rebuilt_under_a_new_epoch(store: Store) -> None:
    caller = await store.account(quota_limit=10)
    await store.quota.debit([caller.debit(3)])
    await store.settler.settle()
    epoch = int(await store.redis.hget(f"account:{{{caller.account_id}}}", "epoch"))
    await store.redis.flushdb()
    assert (await store.quota.debit([caller.debit()]))[0].outcome is Outcome.UNKNOWN
    await store.settler.settle()
    assert await store.left(caller.account_id) == 7
    assert int(await store.redis.hget(f"account:{{{caller.account_id}}}", "epoch")) > epoch
    assert await store.redis.get(f"key:{await store.scalar('SELECT digest FROM api_keys')}") is not None


async def test_an_account_that_is_gone_leaves_no_key_and_no_event(store: Store) -> None:
    caller, other = await store.account(), await store.account()
    await store.quota.debit([caller.debit(), other.debit()])
    _, digests = await store.accounts.delete(caller.account_id, retain=False)
    await store.cache.forget(caller.account_id, digests)
    assert await store.cache.rebuild(caller.account_id) is False
    await store.settler.settle()
    assert await store.scalar("SELECT array_agg(DISTINCT account_id) FROM usage_events") == [other.account_id]
    assert [k async for k in store.redis.scan_iter(f"*{{{caller.account_id}}}*")] == []


async def test_a_refund_settled_before_a_void_counts_once(store: Store) -> None:
    caller = await store.account(quota_limit=100)
    debit = caller.debit(4)
    await store.quota.debit([debit])
    await store.quota.refund(debit)
    await store.settler.settle()
    await store.fallback.void(debit)
    await store.settler.settle()
    assert await store.used(caller.account_id) == 0
    assert await store.left(caller.account_id) == 100


async def test_a_refund_of_a_debit_that_redis_lost_gives_nothing(store: Store) -> None:
    caller = await store.account(quota_limit=100)
    debit = caller.debit(4)
    await store.quota.debit([debit])
    await store.redis.flushdb()
    await store.cache.rebuild(caller.account_id)
    await store.quota.refund(debit)
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 0
    assert await store.left(caller.account_id) == 100


@pytest.mark.parametrize("through", ["redis", "postgres"])
async def test_a_refund_of_yesterdays_debit_does_not_credit_today(store: Store, through: str) -> None:
    caller = await store.account(quota_limit=10, quota_window=QuotaWindow.DAY)
    debit = caller.debit(4)
    await store.quota.debit([debit])
    await store.settler.settle()
    await store.execute("UPDATE usage_events SET occurred_at = occurred_at - interval '1 day'")
    await store.execute("UPDATE accounts SET quota_used = 0, cache_stale = true")  # the window has rolled
    await store.settler.settle()
    assert await (store.quota.refund(debit) if through == "redis" else store.fallback.void(debit))
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 0
    assert await store.left(caller.account_id) == 10


async def test_a_debit_with_a_key_that_was_just_revoked_is_undone(store: Store) -> None:
    caller = await store.account(quota_limit=10)
    debit = caller.debit(4)
    await store.quota.debit([debit])  # taken, and the answer lost
    await store.accounts.revoke_key(caller.key.prefix)
    assert (await store.fallback.debit(debit, uncertain=True)).outcome is Outcome.KEY
    for _ in range(2):
        await store.settler.settle()
    assert await store.used(caller.account_id) == 0


async def test_a_deleted_account_that_redis_still_serves_is_forgotten(store: Store) -> None:
    caller = await store.account()
    await store.accounts.delete(caller.account_id, retain=False)  # and killed before Redis heard of it
    assert (await store.quota.debit([caller.debit()]))[0].admitted
    await store.settler.settle()
    assert (await store.quota.debit([caller.debit()]))[0].outcome is Outcome.UNKNOWN


async def test_a_locked_account_keeps_no_other_waiting(store: Store) -> None:
    locked, other = await store.account(), await store.account()
    await store.settler.settle()
    await store.execute("UPDATE accounts SET cache_stale = true")
    await store.quota.debit([other.debit(3)])
    async with store.engine.begin() as connection:
        await connection.execute(text("SELECT FROM accounts WHERE id = :id FOR UPDATE"), {"id": locked.account_id})
        async with asyncio.timeout(5):
            await store.settler.settle()
        assert await store.used(other.account_id) == 3
        assert await store.cache.stale_accounts(9) == [locked.account_id]
    await store.settler.settle()
    assert await store.cache.stale_accounts(9) == []


async def test_an_account_that_cannot_be_rebuilt_keeps_no_other_waiting_and_is_tried_again(store: Store) -> None:
    callers = [await store.account() for _ in range(3)]
    broken = callers[1].account_id
    await store.settler.settle()
    await store.execute(
        "UPDATE accounts SET cache_stale = true, cache_epoch = 9223372036854775807 WHERE id = :i", i=broken
    )
    await store.execute("UPDATE accounts SET cache_stale = true")
    for _ in range(2):
        await store.settler.settle()
    assert await store.cache.stale_accounts(9) == [broken]
    await store.execute("UPDATE accounts SET cache_epoch = 1 WHERE id = :i", i=broken)
    store.settler._not_before.clear()
    await store.settler.settle()
    assert await store.cache.stale_accounts(9) == []


async def test_revoking_and_rotating_at_once_do_not_deadlock(store: Store) -> None:
    caller = await store.account()
    for _ in range(5):
        _, key = await store.accounts.rotate_key(caller.account_id, timedelta(hours=1))
        await asyncio.gather(
            *(store.accounts.revoke_key(key.prefix) for _ in range(3)),
            *(store.accounts.rotate_key(caller.account_id, timedelta(hours=1)) for _ in range(3)),
        )


async def test_the_history_is_summed_by_hour_and_shows_refunds(store: Store) -> None:
    caller = await store.account()
    kept, refunded = caller.debit(5), caller.debit(2)
    await store.quota.debit([kept, refunded])
    await store.quota.refund(refunded)
    await store.settler.settle()
    points = await usage(
        store.engine,
        caller.account_id,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        until=datetime(2100, 1, 1, tzinfo=UTC),
        step="hour",
    )
    assert sum(p.units for p in points) == 5
    assert sum(p.calls for p in points) == 1
    assert {p.start.minute for p in points} == {0}


async def test_only_one_settler_leads_and_the_next_takes_over(store: Store) -> None:
    async with leadership(store.engine, LOCK) as first:
        assert first is not None
        async with leadership(store.engine, LOCK) as second:
            assert second is None
    async with leadership(store.engine, LOCK) as third:
        assert third is not None


async def call_through_outages(store: Store, caller: Caller, done: asyncio.Event) -> int:
    """Debit as the ingress does: Redis, or Postgres under the same ids where the answer is lost."""
    answered = 0
    while not done.is_set():
        debits = [caller.debit(random.randint(1, 3)) for _ in range(random.randint(1, 8))]
        try:
            decisions = await store.quota.debit(debits)
        except StoreUnavailable as e:
            decisions = [await store.fallback.debit(d, uncertain=e.uncertain) for d in debits]
        for debit, decision in zip(debits, decisions, strict=True):
            if decision.outcome is Outcome.UNKNOWN:
                await asyncio.sleep(0.01)  # the settler rebuilds it
            answered += debit.units if decision.admitted else 0
        await asyncio.sleep(0.002)
    return answered


async def settle_until_quiet(store: Store, account_id: int) -> int:
    for _ in range(100):
        try:
            await store.settler.settle()
            if not await read_events(store.redis, account_id) and not await store.cache.stale_accounts(1):
                return await store.used(account_id)
        except RedisError:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("settlement does not come to rest")


async def test_settlement_killed_at_random_moments_and_valkey_restarted_loses_and_doubles_nothing(
    open_store: Callable[[str], Store], migrated_database: str, tmp_path: Path
) -> None:
    with ValkeyServer(tmp_path / "valkey", tmp_path) as server:
        store = open_store(server.url)
        caller = await store.account(quota_limit=2_000_000)
        done = asyncio.Event()
        callers = [asyncio.create_task(call_through_outages(store, caller, done)) for _ in range(4)]
        for round_ in range(10):
            settler = await asyncio.create_subprocess_exec(sys.executable, "-c", SETTLE, migrated_database, server.url)
            await asyncio.sleep(random.uniform(0.4, 1.2))
            settler.kill()
            await settler.wait()
            if round_ % 3 == 2:
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(random.uniform(0.05, 0.4))
                await asyncio.to_thread(server.start)
        done.set()
        answered = sum(await asyncio.gather(*callers))
        assert answered > 500
        assert await settle_until_quiet(store, caller.account_id) == answered
        assert await store.left(caller.account_id) == 2_000_000 - answered
