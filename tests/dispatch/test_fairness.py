"""One account's long and abandoned calls do not hold up another's short ones, through the whole application."""

import asyncio
import itertools
import time
from typing import Any

import httpx
import numpy as np
from tests.serving.platform import Caller, Platform

AIRLINE = {
    "kind": "arima",
    "order": [0, 1, 1],
    "seasonal_order": [0, 1, 1, 12],
    "ma": [-0.4],
    "seasonal_ma": [-0.5],
    "var": 1,
}
SHORT = {
    "model": {"kind": "arima", "order": [1, 1, 1], "ar": [0.3], "ma": [0.2], "var": 1},
    "observations": [[1, 2, 3, 4, 3, 2]],
}
SERIES = np.cumsum(np.random.default_rng(7).normal(size=144)).round(4).tolist()
ABANDONED = {"model": AIRLINE, "observations": [SERIES], "draws": 900, "outputs": ["observations"]}
SMOOTH = {"model": AIRLINE, "observations": [SERIES] * 50, "outputs": ["smoothed_state"]}


def long(series: int = 100) -> dict[str, Any]:
    """Some seconds of computing, 28 ms a series: each misses other points, and so has weights and a twin of its own."""
    gaps = itertools.combinations(range(20, 140), 2)
    sent = [[None if t in gap else y for t, y in enumerate(SERIES)] for gap in itertools.islice(gaps, series)]
    return {"model": AIRLINE, "observations": sent, "outputs": ["observations"]}


async def short_calls(caller: Caller, seconds: float) -> list[float]:
    """How long each short call took, sent one after the other for so many seconds."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    async with caller.client() as client:
        while time.monotonic() < until:
            started = time.monotonic()
            answer = await client.post("/kalman/filter", json=SHORT)
            taken.append(time.monotonic() - started)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.02)
    return taken


async def warmed(platform: Platform) -> tuple[Caller, Caller]:
    """Two accounts, once every program that these tests need is compiled: `luna up` compiles the smallest alone."""
    greedy, other = await platform.caller(), await platform.caller()
    async with greedy.client() as client:
        for route, body in (
            ("/kalman/filter", SHORT),
            ("/kalman/simulate", ABANDONED | {"draws": 2}),
        ):
            answer = await client.post(route, json=body)
            assert answer.status_code == 200, answer.text
    return greedy, other


async def test_abandoned_draws_hold_up_nobody_and_cost_nothing(platform: Platform) -> None:
    greedy, other = await warmed(platform)
    used = platform.used(greedy.id)
    async with greedy.client(**{"X-Request-Timeout-Seconds": "0.15"}) as client:
        for times in (1, 6):
            answers = await asyncio.gather(*(client.post("/kalman/simulate", json=ABANDONED) for _ in range(times)))
            # A core may be quick enough for one of them.
            assert {answer.status_code for answer in answers} <= {408, 200}
            assert 408 in {answer.status_code for answer in answers} or times == 1
            used += sum(answer.status_code == 200 for answer in answers)
            started = time.monotonic()
            taken = await short_calls(other, 0.5)
            assert max(taken) < 0.5, taken
            assert time.monotonic() - started < 2
    assert platform.used(greedy.id) == used


async def test_a_long_call_of_one_account_holds_up_no_short_call_of_another(platform: Platform) -> None:
    greedy, other = await warmed(platform)
    async with greedy.client() as client:
        calls = [asyncio.create_task(client.post("/kalman/simulate", json=long())) for _ in range(2)]
        await asyncio.sleep(0.3)
        taken = await short_calls(other, 1.5)
        assert not any(call.done() for call in calls), "the long calls were still computing"
        answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert max(taken) < 0.5, taken


async def test_a_caller_who_hangs_up_stops_the_work(platform: Platform) -> None:
    greedy, _ = await warmed(platform)
    used = platform.used(greedy.id)
    replica = platform.kalman_replica()
    assert replica is not None
    async with greedy.client() as client:
        call = asyncio.create_task(client.post("/kalman/simulate", json=long(250)))
        await asyncio.sleep(1.0)
        assert not call.done()
        call.cancel()
    await asyncio.sleep(0.7)
    before = sum(replica.cpu_times()[:2])
    await asyncio.sleep(1.0)
    assert sum(replica.cpu_times()[:2]) - before < 0.3, "the replica computes on"
    assert platform.used(greedy.id) == used


async def test_what_cannot_end_in_its_time_is_refused_and_not_charged(platform: Platform) -> None:
    greedy, _ = await warmed(platform)
    used = platform.used(greedy.id)
    async with greedy.client(**{"X-Request-Timeout-Seconds": "0.04"}) as client:
        draws = await client.post("/kalman/simulate", json=ABANDONED)
        series = await client.post("/kalman/smooth", json=SMOOTH)
    refused(draws, "/draws")
    refused(series, "/observations")
    assert platform.used(greedy.id) == used


def refused(answer: httpx.Response, pointer: str) -> None:
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert "the call has 0.04 s, which is enough for about " in error["detail"]


async def test_long_calls_of_two_accounts_share_the_time(platform: Platform) -> None:
    greedy, other = await warmed(platform)
    ended: dict[str, float] = {}

    async def send(name: str, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        answer = await client.post("/kalman/simulate", json=body)
        assert answer.status_code == 200, answer.text
        ended[name] = time.monotonic()

    async with greedy.client() as first, other.client() as second:
        many = [asyncio.create_task(send(f"greedy {i}", first, long())) for i in range(3)]
        await asyncio.sleep(0.2)
        await send("other", second, long(15))
        await asyncio.gather(*many)
    assert ended["other"] < ended["greedy 1"]
