"""What settlement tells of itself: events, rounds, leadership, and how much waits, also while Postgres is away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.store.stores import Store

from luna_store.ledger.backlog import backlog
from luna_store.platform.postgres import async_engine
from luna_store.settlement.settlement import SettlementObserver, Settler


@dataclass
class Heard(SettlementObserver):
    """Keeps the callbacks' arguments."""

    events: int = 0
    accounts: int = 0
    rounds: list[float] = field(default_factory=list)
    leads: list[bool] = field(default_factory=list)
    backlogs: list[tuple[int, float]] = field(default_factory=list)

    def leading(self, leading: bool) -> None:
        self.leads.append(leading)

    def booked(self, events: int) -> None:
        self.events += events

    def rebuilt(self, accounts: int) -> None:
        self.accounts += accounts

    def round(self, seconds: float) -> None:
        self.rounds.append(seconds)

    def backlog(self, waiting_events: int, oldest_age_s: float) -> None:
        self.backlogs.append((waiting_events, oldest_age_s))


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not claim():  # noqa: ASYNC110  the observer has no event to wait for
            await asyncio.sleep(0.02)


async def test_an_observer_hears_of_events_rounds_rebuilds_and_the_backlog(store: Store) -> None:
    heard = Heard()
    caller = await store.account()
    await store.execute("UPDATE accounts SET cache_stale = true")
    await store.quota.debit([caller.debit() for _ in range(7)])
    stop = asyncio.Event()
    running = asyncio.create_task(Settler(store.engine, store.redis, observer=heard).run(stop))
    await until(lambda: heard.events == 7 and heard.accounts == 1 and bool(heard.rounds))
    stop.set()
    await running
    assert heard.leads[0] is True
    assert all(seconds > 0 for seconds in heard.rounds)
    (waiting, age), *_ = heard.backlogs
    assert waiting == 7
    assert 0 < age < 30
    await store.settler.settle()
    assert heard.events == 7


async def test_a_second_settler_stands_by_and_says_so(store: Store) -> None:
    first, second = Heard(), Heard()
    stop = asyncio.Event()
    leader = asyncio.create_task(Settler(store.engine, store.redis, observer=first).run(stop))
    await until(lambda: first.leads == [True])
    standby = asyncio.create_task(Settler(store.engine, store.redis, observer=second).run(stop))
    await until(lambda: second.leads[:1] == [False])
    stop.set()
    await asyncio.gather(leader, standby)
    assert second.rounds == []


async def test_the_backlog_is_told_while_postgres_is_away(store: Store) -> None:
    heard = Heard()
    caller = await store.account()
    await store.quota.debit([caller.debit() for _ in range(5)])
    away = async_engine("postgresql://luna:x@127.0.0.1:1/luna")
    stop = asyncio.Event()
    running = asyncio.create_task(Settler(away, store.redis, observer=heard).run(stop))
    await until(lambda: bool(heard.backlogs))
    stop.set()
    await running
    await away.dispose()
    assert heard.backlogs[0][0] == 5
    assert heard.leads == [False]


@pytest.mark.parametrize("accounts", [0, 3, 700])
async def test_the_backlog_is_counted_and_beyond_some_accounts_estimated(store: Store, accounts: int) -> None:
    pipe = store.redis.pipeline(transaction=False)
    for account_id in range(accounts):
        pipe.sadd("luna:unsettled", account_id)
        for _ in range(2):
            pipe.xadd(f"user:{{{account_id}}}:events", {"u": 1})
    await pipe.execute()
    found = await backlog(store.redis)
    assert found.events == 2 * accounts
    assert (found.oldest_age_s > 0) == (accounts > 0)


async def test_accounts_whose_mark_was_taken_are_part_of_the_backlog(store: Store) -> None:
    caller = await store.account()
    await store.quota.debit([caller.debit()])
    await store.redis.delete("luna:unsettled")
    assert (await backlog(store.redis)).events == 0
    assert (await backlog(store.redis, [caller.account_id])).events == 1
