"""The samples that all queries of a shard hold in memory together."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.capabilities.metrics.http.in_process import client, served
from tests.capabilities.metrics.shard.shards import key, opened, statistics, write
from tests.store.stores import Store

from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.capabilities.metrics.shard.budget import SampleBudget, TooBusyError
from luna_serving.samples.answers import Refusal
from luna_serving.samples.requests import Instant, InstantQuery, Range


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000


NOW = now()


async def test_a_hold_waits_for_others_to_end_and_is_refused_after_a_while() -> None:
    budget = SampleBudget(100, wait_s=0.2)
    with budget.hold() as first:
        await first.take(80)
        with budget.hold() as second:
            await second.take(20)
            with pytest.raises(TooBusyError):
                await second.take(1)
            waiting = asyncio.create_task(second.take(30))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            first.reduce_to(50)
            await waiting
            assert (first.samples, second.samples, budget.held) == (50, 50, 100)
        assert budget.held == 50
    assert budget.held == 0


async def test_whoever_waits_gets_what_is_given_back_and_the_sum_is_never_exceeded() -> None:
    budget, most = SampleBudget(100, wait_s=20), 0

    async def one(seed: int) -> None:
        nonlocal most
        draw = np.random.default_rng(seed)
        with budget.hold() as held:
            await held.take(int(draw.integers(1, 60)))
            most = max(most, budget.held)
            await asyncio.sleep(float(draw.uniform(0, 0.002)))

    await asyncio.gather(*map(one, range(200)))
    assert budget.held == 0
    assert 60 < most <= 100


async def test_what_a_thread_uses_is_held_until_it_ends_though_nobody_waits() -> None:
    budget, go_on = SampleBudget(100), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with budget.hold() as held:
            await held.take(10)
            work = pool.submit(go_on.wait, 20)
            held.keep_for(work)
            held.grow_to(40)
            with pytest.raises(TooBusyError):
                held.grow_to(101)
        assert budget.held == 40, "the query has ended, the thread has not"
        go_on.set()
        await asyncio.wrap_future(work)
    assert budget.held == 0


async def test_queries_of_a_shard_share_the_budget(store: Store) -> None:
    account = (await store.account()).account_id
    settings = MetricsSettings(query_samples_at_once=4_000)
    many = InstantQuery("sum_over_time(load[1h])", NOW)
    async with opened(store, settings) as shard:
        shard._budget._wait_s = 0.3
        await write(shard, account, {key("load"): [(NOW - n, 1.0) for n in range(2_500)]})
        with shard._budget.hold() as other:
            await other.take(2_000)
            (answer,) = await shard.ask(account, Instant([many], 10**9, 60.0))
            assert answer.why is Refusal.BUSY
            ranged = await shard.ask(account, Range(many.text, NOW - 1_000, NOW, 1_000, 10**9, 60.0))
            assert ranged.why is Refusal.BUSY
            assert (await statistics(shard, account, "load", NOW - 10_000, NOW)).why is Refusal.BUSY
            (small,) = await shard.ask(account, Instant([InstantQuery("1 + 1", NOW)], 10**9, 60.0))
            assert small.value == 2
            asked = asyncio.create_task(shard.ask(account, Instant([many], 10**9, 60.0)))
            await asyncio.sleep(0.05)
            assert not asked.done()
        assert (await asked)[0].values.tolist() == [2_500.0], "it has waited"
        answers = await shard.ask(account, Instant([many] * 5, 10**9, 60.0))
        assert [each.values.tolist() for each in answers] == [[2_500.0]] * 5, "one request holds its samples once"
        steps = InstantQuery("sum_over_time(load[1h:1ms])", NOW)
        (late,) = await shard.ask(account, Instant([steps], 10**9, 0.0))
        assert late.why is Refusal.TIMEOUT
        async with asyncio.timeout(20):
            while shard._budget.held:  # noqa: ASYNC110  threads end
                await asyncio.sleep(0.01)


async def test_a_query_alone_is_refused_by_its_own_bound_and_not_as_busy(store: Store) -> None:
    account = (await store.account()).account_id
    async with opened(store, MetricsSettings(query_samples_at_once=2_000)) as shard:
        await write(shard, account, {key("load"): [(NOW - n, 1.0) for n in range(1_600)]})
        query = InstantQuery("sum_over_time(load[1h])", NOW)
        (answer,) = await shard.ask(account, Instant([query], 10**9, 60.0))
        assert answer.why is Refusal.LIMIT
        assert shard._budget.held == 0


async def test_a_caller_is_told_when_to_ask_again(store: Store) -> None:
    caller = await store.account()
    async with opened(store, MetricsSettings(query_samples_at_once=1_000)) as shard:
        shard._budget._wait_s = 0.1
        await write(shard, caller.account_id, {key("load"): [(NOW - n, 1.0) for n in range(100)]})
        async with served(store, shard) as url, client(url, caller) as luna:
            with shard._budget.hold() as other:
                await other.take(950)
                answer = await luna.get("/metrics/query/instant", params={"query": "sum_over_time(load[1h])"})
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), answer.text
                assert answer.json()["type"].endswith("/queries-busy")
                answer = await luna.get("/prometheus/api/v1/query", params={"query": "sum_over_time(load[1h])"})
                assert answer.status_code == 503
                assert "retry-after" in answer.headers
                assert answer.json()["errorType"] == "unavailable"
            answer = await luna.get("/metrics/query/instant", params={"query": "sum_over_time(load[1h])"})
            assert answer.status_code == 200
    assert await store.left(caller.account_id) >= 497
