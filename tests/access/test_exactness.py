"""Every caller gets its own answer, and every answer is charged once, also when processes are killed."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
import psutil
import pytest
from tests.serving.local_level import local_level
from tests.serving.platform import Caller, Platform

CALLERS = 32


def a_series(rng: random.Random) -> list[float | None]:
    level, series = rng.uniform(-100, 100), []
    for _ in range(rng.choice([1, 3, 50, 200, 255, 256, 257, 700])):
        level += rng.gauss(0, 0.3)
        series.append(None if rng.random() < 0.1 and rng.random() < 0.5 else level + rng.gauss(0, 1))
    return series


def assert_own_answer(series: list[float | None], answer: httpx.Response) -> None:
    body = answer.json()
    assert body["input_data"] == series
    filtered, expected = body["processed_results"], local_level(series)
    assert [f is None for f in filtered] == [e is None for e in expected]
    assert [f for f in filtered if f is not None] == pytest.approx(
        [e for e in expected if e is not None], rel=1e-9, abs=1e-9
    )


async def call_until(done: asyncio.Event, caller: Caller, seed: int, statuses: list[int], least: int) -> int:
    """Call with ever new series; returns how often the answer was 200."""
    rng, served, made = random.Random(seed), 0, 0
    async with caller.client() as client:
        while made < least or not done.is_set():
            series = a_series(rng)
            made += 1
            answer = await client.post("/kalman", json={"results": series})
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                assert_own_answer(series, answer)
                served += 1
            else:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.status_code == 503, answer.text
                assert "retry-after" in answer.headers
    return served


async def callers_through(
    platform: Platform, trouble: Callable[[], Awaitable[None]], *, least: int = 1
) -> tuple[list[Caller], list[int], list[int]]:
    """32 callers of two accounts while `trouble` goes on: the accounts, the 200s of each, and all statuses."""
    accounts = [await platform.caller(), await platform.caller()]
    done, statuses = asyncio.Event(), list[int]()
    tasks = [asyncio.create_task(call_until(done, accounts[i % 2], i, statuses, least)) for i in range(CALLERS)]
    await trouble()
    done.set()
    served = await asyncio.gather(*tasks)
    return accounts, [sum(served[0::2]), sum(served[1::2])], statuses


async def nothing() -> None:
    await asyncio.sleep(0)


async def test_32_callers_of_two_accounts_get_their_own_answers_and_pay_for_them(platform: Platform) -> None:
    accounts, served, statuses = await callers_through(platform, nothing, least=20)
    assert set(statuses) == {200}
    assert served == [CALLERS * 10, CALLERS * 10]
    assert [platform.used(a.id) for a in accounts] == served
    assert [platform.left(a.id) for a in accounts] == [1_000_000 - s for s in served]


async def test_nothing_is_lost_or_doubled_when_settlement_is_killed_ten_times(platform: Platform) -> None:
    killed = 0

    async def trouble() -> None:
        nonlocal killed
        rng = random.Random(7)
        while killed < 10:
            # luna up starts it again, with a pause that grows; a settler of our own fills the gap.
            settler = platform.settler() or platform.own_settler()
            await asyncio.sleep(rng.uniform(0.05, 0.7))
            with suppress(psutil.NoSuchProcess):
                settler.send_signal(signal.SIGKILL)
                settler.wait(5)
                killed += 1

    accounts, served, statuses = await callers_through(platform, trouble)
    assert set(statuses) == {200}
    assert sum(served) > 200
    assert [platform.used(a.id) for a in accounts] == served
    assert [platform.left(a.id) for a in accounts] == [1_000_000 - s for s in served]


async def test_nothing_is_lost_or_doubled_when_valkey_is_killed_and_restarted(platform: Platform) -> None:
    async def trouble() -> None:
        rng = random.Random(11)
        for _ in range(3):
            await asyncio.sleep(rng.uniform(0.5, 1.5))
            await asyncio.to_thread(platform.valkey.kill)
            await asyncio.sleep(rng.uniform(0.2, 1.5))
            await asyncio.to_thread(platform.valkey.start)
        await asyncio.sleep(1.5)

    accounts, served, statuses = await callers_through(platform, trouble)
    assert sum(served) > 200
    assert statuses.count(200) > len(statuses) * 0.9, "Postgres takes the debits meanwhile"
    assert [platform.used(a.id) for a in accounts] == served
    assert [platform.left(a.id) for a in accounts] == [1_000_000 - s for s in served]


async def test_calls_go_on_without_postgres_and_are_settled_when_it_is_back(platform: Platform) -> None:
    async def trouble() -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(platform.postgres.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(platform.postgres.start)
        await asyncio.sleep(0.5)

    accounts, served, statuses = await callers_through(platform, trouble)
    # On a slow disk, Postgres' recovery may hold up a sync of Valkey's log beyond the second that Redis has to answer:
    # then each caller is refused once, for both stores are gone.
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) <= CALLERS
    assert statuses.count(200) > len(statuses) * 0.9
    assert [platform.used(a.id) for a in accounts] == served


async def test_with_both_stores_gone_nobody_is_served_and_nobody_pays(platform: Platform) -> None:
    accounts, served, statuses = await callers_through(platform, nothing)
    await asyncio.to_thread(platform.valkey.kill)
    await asyncio.to_thread(platform.postgres.kill)
    try:
        async with accounts[0].client() as client:
            answers = [await client.post("/kalman", json={"results": [1]}) for _ in range(3)]
    finally:
        await asyncio.to_thread(platform.postgres.start)
        await asyncio.to_thread(platform.valkey.start)
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("dependencies-gone")
        assert int(answer.headers["retry-after"]) >= 1
    assert set(statuses) == {200}
    assert [platform.used(a.id) for a in accounts] == served


async def test_a_model_replica_that_dies_costs_nobody_anything(platform: Platform) -> None:
    async def trouble() -> None:
        await asyncio.sleep(0.5)
        replica = platform.kalman_replica()
        assert replica is not None
        replica.kill()
        for _ in range(200):  # until another one serves
            await asyncio.sleep(0.5)
            async with httpx.AsyncClient(base_url=platform.url) as client:
                if (await client.get("/health/ready")).status_code == 200:
                    return
        raise AssertionError("no new replica became ready")

    accounts, served, statuses = await callers_through(platform, trouble)
    assert {200} <= set(statuses) <= {200, 503}
    assert [platform.used(a.id) for a in accounts] == served
