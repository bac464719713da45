"""Simulations: what a rule would have done, over HTTP; and that they agree with evaluations one by one."""

import asyncio
import random
import uuid
from typing import Any

import numpy as np
import pytest
from tests.capabilities.alerts.evaluated import START_MS
from tests.capabilities.alerts.samples import MemorySamples
from tests.capabilities.alerts.served import served
from tests.capabilities.alerts.test_promtool import EVALUATIONS, EVERY_MS, case, ours, samples_of
from tests.store.stores import Store

from luna_serving.capabilities.alerts.rules.rule import rule_of
from luna_serving.capabilities.alerts.simulation.replay import replay, vectors_of
from luna_serving.capabilities.alerts.states.advance import State
from luna_serving.samples.answers import QueryRefused, Refusal


async def simulated(store: Store, samples: MemorySamples, body: dict[str, Any]) -> Any:
    caller = await store.account()
    async with served(store, samples, looping=False) as luna, luna.client(caller) as client:
        answer = await client.post("/alerts/rules/simulate", json=body)
    return answer, caller, await store.left(caller.account_id)


async def test_a_rule_is_replayed_and_costs_one_unit(store: Store) -> None:
    samples = MemorySamples()
    truth = "0001111000011000"
    for i, bit in enumerate(truth):
        samples.put("cpu", START_MS + i * 60_000, float(bit), host="a")
    rule = {"expr": "cpu > 0.5", "for": "2m", "interval": "1m"}
    end = START_MS + (len(truth) - 1) * 60_000
    answer, _, left = await simulated(store, samples, {"rule": rule, "start": START_MS, "end": end})
    assert answer.status_code == 200, answer.text
    minute = [START_MS + i * 60_000 for i in range(len(truth))]
    assert answer.json() == {
        "firings": [
            {
                "labels": {"alertname": "simulated", "host": "a"},
                "active_at": minute[3],
                "fired_at": minute[5],
                "resolved_at": minute[7],
            }
        ],
        "evaluations": len(truth),
        "flaps": 0,
    }
    assert left == 499
    beside, _, _ = await simulated(
        store, samples, {"name": "x", **rule, "for": "0s", "start": "2026-11-21T22:40:00Z", "end": end}
    )
    found = beside.json()
    assert (len(found["firings"]), found["flaps"]) == (2, 1)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rule": {"expr": "cpu >"}, "start": 0, "end": 1}, "/rule/expr"),
    ({"expr": "cpu", "start": 5, "end": 1}, "/end"),
    ({"expr": "cpu", "end": 1}, "/start"),
    ({"expr": "cpu", "interval": "1s", "start": 0, "end": 10**9}, "/end"),
    ({"rule": {"expr": "cpu"}, "expr": "cpu", "start": 0, "end": 1}, "/rule"),
]


async def test_what_is_wrong_is_pointed_to_and_costs_nothing(store: Store) -> None:
    caller = await store.account()
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        for body, pointer in WRONG:
            answer = await client.post("/alerts/rules/simulate", json=body)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert await store.left(caller.account_id) == 500


@pytest.mark.parametrize("seed", range(8))
def test_a_replay_is_what_evaluations_one_by_one_do(seed: int) -> None:
    each = case(seed)
    _, timeline = asyncio.run(ours(each))
    times = [i * EVERY_MS for i in range(EVALUATIONS)]
    document = {**each.document, "no_data": "resolve"}
    rule = rule_of(uuid.UUID(int=1), 1, uuid.UUID(int=1), document)
    matrix = asyncio.run(samples_of(each).range(1, rule.query, times[0], times[-1], EVERY_MS))
    replayed = replay(rule, times, vectors_of(matrix), None, 1_000)
    firing = {i: {a.labels.get("host") for a in of if a.state is State.FIRING} for i, of in timeline.items()}
    again: dict[int, set[str | None]] = {i: set() for i in timeline}
    for one in replayed.firings:
        for i in timeline:
            if one.fired_at_ms <= times[i] and (one.resolved_at_ms is None or times[i] < one.resolved_at_ms):
                again[i].add(one.labels.get("host"))
    assert again == firing


def seasonal(samples: MemorySamples, days: float, shift_at_ms: int, shift: float) -> int:
    """Ten-minute samples with a daily season; returns the time of the last."""
    draw = random.Random(1)
    last = 0
    for i in range(int(days * 144)):
        at = START_MS + i * 600_000
        level = 10 + 3 * np.sin(2 * np.pi * i / 144) + draw.gauss(0, 0.5)
        samples.put("load", at, float(level + (shift if at >= shift_at_ms else 0.0)), host="a")
        last = at
    return last


async def test_an_anomaly_rule_learns_before_the_start_alone_and_finds_a_shift(store: Store) -> None:
    samples = MemorySamples()
    start = START_MS + 7 * 86_400_000
    shift_at = start + 43_200_000
    end = seasonal(samples, 8, shift_at, 6 * 0.5)
    rule = {"metric": "load", "kind": "anomaly", "false_alarms_per_week": 0.25, "interval": "5m"}
    answer, _, _ = await simulated(store, samples, {"rule": rule, "start": start, "end": end})
    assert answer.status_code == 200, answer.text
    found = answer.json()["firings"]
    assert found, answer.text
    assert 0 <= found[0]["fired_at"] - shift_at <= 5 * 600_000
    assert found[0]["labels"]["host"] == "a"


async def test_a_simulation_that_is_refused_by_the_shard_costs_nothing(store: Store) -> None:
    class Refusing(MemorySamples):
        async def range(self, *_: Any, **__: Any) -> Any:
            return QueryRefused(Refusal.LIMIT, "Too many samples.")

    body = {"rule": {"expr": "cpu > 0.5"}, "start": START_MS, "end": START_MS + 60_000}
    answer, caller, _ = await simulated(store, Refusing(), body)
    assert answer.status_code == 422, answer.text
    async with asyncio.timeout(10):
        while await store.left(caller.account_id) != 500:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_other_methods_are_not_allowed_and_the_word_is_no_rule(store: Store) -> None:
    caller = await store.account()
    async with served(store, MemorySamples(), looping=False) as luna, luna.client(caller) as client:
        for method in ("GET", "PUT", "DELETE"):
            for base in (f"{luna.url}/api/v1/{caller.account_id}", f"{luna.url}/api/v1"):
                answer = await client.request(method, f"{base}/alerts/rules/simulate")
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), answer.text
        other = await client.get("/alerts/rules/another")
    assert other.status_code == 422, "a rule's id is still checked"
