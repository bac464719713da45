"""A hold is settled or voided once, also when processes are killed: units are neither lost nor taken twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.access.dying import MINUTE, RESERVED, SPENT, Ends, an_owner, charge_of, dying
from tests.store.stores import Caller, Store

from luna_serving.access.denied import Denied
from luna_serving.local.servers.valkey import ValkeyServer
from luna_serving.wire.problems import Problem
from luna_store.ledger import holds as ledger
from luna_store.ledger.holds import Hold, HoldExists, HoldLost, void_overdue
from luna_store.ledger.usage import usage

AT_ONCE = 6


@pytest.fixture
async def ends(store: Store, migrated_database: str, fresh_redis: str) -> AsyncIterator[Ends]:
    ends = Ends(migrated_database, fresh_redis)
    yield ends
    await ends.close()


async def settled(store: Store, *callers: Caller) -> list[int]:
    """What each account has used, once everything is booked; Redis says the same."""
    for _ in range(3):
        await store.settler.settle()
    for caller in callers:
        assert await store.left(caller.account_id) == 500 - await store.used(caller.account_id)
        booked = "SELECT coalesce(sum(units), 0) FROM usage_events WHERE account_id = :id"
        assert await store.scalar(booked, id=caller.account_id) == await store.used(caller.account_id)
    return [await store.used(caller.account_id) for caller in callers]


async def open_holds(store: Store) -> int:
    return int(str(await store.scalar("SELECT count(*) FROM holds")))


@asynccontextmanager
async def held(store: Store, ends: Ends) -> AsyncIterator[tuple[Caller, Hold]]:
    caller = await store.account()
    yield caller, await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
    assert await open_holds(store) == 0


async def test_a_reservation_is_charged_at_once_and_settled_to_the_work_done(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (caller, hold):
        assert await store.left(caller.account_id) == 500 - RESERVED
        assert await settled(store, caller) == [RESERVED]
        await ends.holds.settle(hold, SPENT)
        assert await settled(store, caller) == [SPENT]
        with pytest.raises(HoldLost):
            await ends.holds.settle(hold, 0)
        assert not await ends.holds.void(hold)
        assert await settled(store, caller) == [SPENT]


@pytest.mark.parametrize("units", [0, SPENT, RESERVED])
async def test_a_hold_that_is_closed_before_redis_was_settled_counts_once(store: Store, ends: Ends, units: int) -> None:
    async with held(store, ends) as (caller, hold):
        await ends.holds.settle(hold, units)
        assert await settled(store, caller) == [units]


@pytest.mark.parametrize("booked", ["the debit", "the settlement", "nothing"])
async def test_a_refund_besides_the_settlement_changes_nothing(store: Store, ends: Ends, booked: str) -> None:
    async with held(store, ends) as (caller, hold):
        if booked == "the debit":
            await store.settler.settle()
        await ends.holds.settle(hold, SPENT)
        if booked == "the settlement":
            await store.settler.settle()
        assert await store.quota.refund(hold.debit)
        assert await settled(store, caller) == [SPENT]


async def test_a_call_that_is_settled_to_less_is_one_call_of_its_route(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (caller, hold):
        await settled(store, caller)
        await ends.holds.settle(hold, SPENT)
    since, until = hold.reserved_at - timedelta(days=1), hold.reserved_at + timedelta(days=1)
    (point,) = await usage(store.engine, caller.account_id, since=since, until=until + MINUTE, step="day")
    assert (point.units, point.calls) == (SPENT, 1)


@pytest.mark.parametrize("units", [-1, RESERVED + 1])
async def test_a_hold_is_settled_to_no_more_than_was_reserved(store: Store, ends: Ends, units: int) -> None:
    async with held(store, ends) as (caller, hold):
        with pytest.raises(ValueError, match=f"{units} units of a hold of 5"):
            await ends.holds.settle(hold, units)
        assert await ends.holds.void(hold)
        assert await settled(store, caller) == [0]


async def test_a_denied_reservation_leaves_no_hold_and_says_how_the_account_stands(store: Store, ends: Ends) -> None:
    caller = await store.account(quota_limit=3)
    with pytest.raises(Denied) as denied:
        await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
    assert denied.value.problem.slug == "quota-exhausted"
    assert denied.value.standing is not None
    assert denied.value.standing.remaining == 3
    assert await open_holds(store) == 0


async def test_an_account_that_redis_does_not_know_is_repaired_and_charged(store: Store, ends: Ends) -> None:
    caller = await store.account()
    await store.redis.flushdb()
    hold = await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
    assert await store.left(caller.account_id) == 500 - RESERVED
    await ends.holds.void(hold)
    assert await settled(store, caller) == [0]


async def test_a_debit_id_has_one_open_hold(store: Store, ends: Ends) -> None:
    caller = await store.account()
    charge = charge_of(caller)
    hold = await ends.holds.reserve(charge, an_owner(), MINUTE)
    with pytest.raises(HoldExists):
        await ends.holds.reserve(charge, an_owner(), MINUTE)
    await ends.holds.settle(hold, RESERVED)
    assert await settled(store, caller) == [RESERVED]


async def test_of_two_processes_the_later_one_closes_the_hold(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (caller, earlier):
        (later,) = await ends.holds.take_over(earlier.owner, 2)
        assert await ends.holds.take_over(earlier.owner, 2) == []
        with pytest.raises(HoldLost):
            await ends.holds.extend(earlier, MINUTE)
        with pytest.raises(HoldLost):
            await ends.holds.settle(earlier, 1)
        assert not await ends.holds.void(earlier)
        await ends.holds.settle(later, SPENT)
        assert await settled(store, caller) == [SPENT]


async def test_racing_closers_close_once(store: Store, ends: Ends) -> None:
    caller = await store.account()
    for _ in range(5):
        hold = await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
        before = await settled(store, caller)
        closers: list[Awaitable[object]] = [ends.holds.settle(hold, n) for n in (1, 2, 3)]
        closed = await asyncio.gather(*closers, ends.holds.void(hold), return_exceptions=True)
        lost = [each for each in closed if isinstance(each, HoldLost) or each is False]
        assert len(lost) == 3, closed
        spent = 0 if closed[3] is True else next(n for n, each in zip((1, 2, 3), closed, strict=False) if each is None)
        assert await settled(store, caller) == [before[0] - RESERVED + spent]


async def test_a_result_and_its_settlement_are_one_transaction(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (caller, hold):

        async def fail_after_settling() -> None:
            async with store.engine.begin() as connection:
                await ledger.settle(connection, hold, SPENT)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail_after_settling()
        assert await settled(store, caller) == [RESERVED]
        await ends.holds.settle(hold, SPENT)
        assert await settled(store, caller) == [SPENT]


async def test_overdue_holds_are_voided_and_extended_ones_are_not(store: Store, ends: Ends) -> None:
    caller = await store.account()
    overdue, extended, young = [
        await ends.holds.reserve(charge_of(caller), an_owner(), lasting)
        for lasting in (timedelta(0), timedelta(0), MINUTE)
    ]
    await ends.holds.extend(extended, MINUTE)
    assert sorted(await asyncio.gather(*(void_overdue(store.engine) for _ in range(3)))) == [0, 0, 1]
    with pytest.raises(HoldLost):
        await ends.holds.settle(overdue, 1)
    assert await settled(store, caller) == [2 * RESERVED]
    for hold in (extended, young):
        await ends.holds.settle(hold, RESERVED)
    assert await settled(store, caller) == [2 * RESERVED]


async def test_a_caller_who_hangs_up_while_units_are_reserved_gets_them_back(store: Store, ends: Ends) -> None:
    caller, cancelled = await store.account(), 0
    for i in range(30):
        reserving = asyncio.create_task(ends.holds.reserve(charge_of(caller), an_owner(), MINUTE))
        await asyncio.sleep(i * 0.0005)
        reserving.cancel()
        try:
            await ends.holds.void(await reserving)
        except asyncio.CancelledError:
            cancelled += 1
    assert cancelled > 5
    await store.execute("UPDATE holds SET until = now()")
    await void_overdue(store.engine)
    assert await open_holds(store) == 0
    assert await settled(store, caller) == [0]


async def test_an_account_that_is_gone_is_not_found(store: Store, ends: Ends) -> None:
    caller = await store.account()
    await store.accounts.delete(caller.account_id, retain=False)
    with pytest.raises(Problem) as gone:
        await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
    assert gone.value.status == 404


async def test_no_hold_outlives_the_ledgers_memory(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (_, hold):
        longest = await ends.holds.extend(hold, timedelta(days=60))
        assert longest.until - longest.reserved_at == ledger.LONGEST
        await ends.holds.void(longest)


async def test_what_is_given_back_of_an_earlier_window_does_not_count_in_this_one(store: Store, ends: Ends) -> None:
    for booked in (True, False):
        caller = await store.account(quota_window="Day")
        hold = await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
        if booked:
            await store.settler.settle()
        yesterday = "UPDATE {} SET {column} = {column} - interval '1 day' WHERE account_id = :id"
        await store.execute(yesterday.format("holds", column="reserved_at"), id=caller.account_id)
        await store.execute(yesterday.format("usage_events", column="occurred_at"), id=caller.account_id)
        if booked:
            await store.execute("UPDATE accounts SET quota_used = 0 WHERE id = :id", id=caller.account_id)
        (hold,) = await ends.holds.take_over(hold.owner, 2)
        await ends.holds.settle(hold, SPENT)
        for _ in range(3):
            await store.settler.settle()
        assert await store.used(caller.account_id) == 0, booked
        assert await store.left(caller.account_id) == 500


async def test_without_redis_holds_are_reserved_and_closed_in_postgres(
    open_store: Callable[[str], Store], migrated_database: str, tmp_path: Path
) -> None:
    server = ValkeyServer(tmp_path / "data", tmp_path)
    await asyncio.to_thread(server.start)
    store, ends = open_store(server.url), Ends(migrated_database, server.url)
    try:
        caller = await store.account()
        before = await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE)
        await asyncio.to_thread(server.kill)
        meanwhile = [await ends.holds.reserve(charge_of(caller), an_owner(), MINUTE) for _ in range(2)]
        await ends.holds.settle(before, SPENT)
        await ends.holds.settle(meanwhile[0], SPENT)
        await asyncio.to_thread(server.start)
        await ends.holds.void(meanwhile[1])
        await store.redis.connection_pool.disconnect()
        assert await settled(store, caller) == [2 * SPENT]
        assert await open_holds(store) == 0
    finally:
        await ends.close()
        await asyncio.to_thread(server.kill)


async def test_what_a_wiped_redis_had_not_handed_over_is_charged_when_it_is_settled(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (caller, hold):
        await store.redis.flushdb()
        await ends.holds.settle(hold, SPENT)
        await store.cache.rebuild(caller.account_id)
        assert await settled(store, caller) == [SPENT]


async def test_units_that_are_given_back_are_in_redis_after_the_next_settlement(store: Store, ends: Ends) -> None:
    async with held(store, ends) as (caller, hold):
        await store.settler.settle()
        await ends.holds.void(hold)
        assert await store.left(caller.account_id) == 500 - RESERVED
        await store.settler.settle()
        assert await store.left(caller.account_id) == 500


async def test_a_reservation_without_postgres_takes_nothing(store: Store) -> None:
    caller = await store.account()
    nowhere = Ends("postgresql://nobody:nothing@127.0.0.1:9/none", "redis://127.0.0.1:9/0")
    with pytest.raises(Problem) as gone:
        await nowhere.holds.reserve(charge_of(caller), an_owner(), MINUTE)
    assert gone.value.slug == "dependencies-gone"
    assert await store.left(caller.account_id) == 500
    await nowhere.close()


async def killed_at_each_step(store: Store, ends: Ends, scenario: str) -> list[tuple[Caller, str]]:
    """Run a scenario once for each step at which it can die; the accounts and owners, in the order of the steps."""
    runs: list[tuple[Caller, str]] = []
    while True:
        some = [(await store.account(), an_owner()) for _ in range(AT_ONCE)]
        died = await asyncio.gather(
            *(dying(ends, scenario, caller, owner, len(runs) + i) for i, (caller, owner) in enumerate(some, 1))
        )
        runs += some
        assert died == sorted(died, reverse=True), "a later step is reached only where an earlier one was"
        if not all(died):
            return runs


@pytest.mark.parametrize("end", ["taken over", "overdue", "taken over by one that dies, too"])
@pytest.mark.parametrize(("scenario", "spent"), [("work", SPENT), ("give_up", 0)])
async def test_killed_between_any_two_steps_nothing_is_lost_or_doubled(
    store: Store, ends: Ends, scenario: str, spent: int, end: str
) -> None:
    runs = await killed_at_each_step(store, ends, scenario)
    assert len(runs) > 12
    assert 0 < await open_holds(store) < len(runs)
    assert {await store.left(caller.account_id) for caller, _ in runs} >= {500, 500 - RESERVED}
    if end == "overdue":
        await store.execute("UPDATE holds SET until = now()")
        assert await void_overdue(store.engine) > 0
        assert await void_overdue(store.engine) == 0
    for i, (caller, owner) in enumerate(runs):
        if end == "taken over by one that dies, too":
            await dying(ends, "recover", caller, owner, 1 + i % 12)
        for hold in await ends.holds.take_over(owner, 3):
            await ends.holds.void(hold)
    assert await open_holds(store) == 0
    used = await settled(store, *(caller for caller, _ in runs))
    assert set(used) == {0, spent}
    assert used == sorted(used), "once settled, it stays settled"
    assert used[-1] == spent


async def test_a_stream_killed_between_any_two_steps_is_charged_what_it_took(store: Store, ends: Ends) -> None:
    runs = await killed_at_each_step(store, ends, "stream")
    assert len(runs) > 20
    taken = []
    for i, (caller, _) in enumerate(runs):
        info = next(iter(await ends.streams.page(caller.account_id)), None)
        if info is not None and i % 3 == 0:
            await ends.streams.claim(caller.account_id, info.id)
        if info is not None and i % 3 == 1:
            await ends.streams.delete(caller.account_id, info.id)
        taken.append(info.sequence if info else 0)
    await store.execute("UPDATE holds SET until = now()")
    while await void_overdue(store.engine):
        pass
    assert await open_holds(store) == 0
    assert await settled(store, *(caller for caller, _ in runs)) == taken
    assert taken == sorted(taken)
    assert set(taken) == {0, 1, 2, 3}
