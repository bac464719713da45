"""`timeout` and `lookback_delta` of Prometheus' API."""

import asyncio
import time

import pytest
from tests.capabilities.metrics.http.in_process import client, served
from tests.capabilities.metrics.shard.shards import key, opened, write
from tests.store.stores import Store

API = "/prometheus/api/v1"


async def test_the_look_back_is_the_callers_in_instants_and_ranges(store: Store) -> None:
    caller, now = await store.account(), int(time.time())
    async with opened(store) as shard, served(store, shard) as url, client(url, caller) as luna:
        await write(shard, caller.account_id, {key("cpu"): [((now - 60) * 1_000, 0.5)]})

        async def found(path: str, **asked: object) -> int:
            answer = await luna.get(f"{API}/{path}", params={"query": "cpu", **asked})
            assert answer.status_code == 200, answer.text
            result = answer.json()["data"]["result"]
            return sum(len(each.get("values", [0])) for each in result)

        assert await found("query", time=now) == 1
        assert await found("query", time=now, lookback_delta="1m") == 0, "a sample as old as the look-back is too old"
        assert await found("query", time=now, lookback_delta="61s") == 1
        assert await found("query", time=now, lookback_delta=0) == 1, "as in Prometheus, the default"
        steps = {"start": now - 60, "end": now + 600, "step": 30}
        assert await found("query_range", **steps) == 10
        assert await found("query_range", **steps, lookback_delta=90) == 3
        assert await found("query_range", **steps, lookback_delta="20m") == 23, "longer ones read further back"
        form = {"query": "cpu", "time": str(now), "lookback_delta": "30"}
        posted = await luna.post(f"{API}/query", data=form)
        assert posted.json()["data"]["result"] == []


@pytest.mark.parametrize("path", ["query?time=0", "query_range?start=0&end=60&step=15"])
async def test_a_timeout_ends_the_query_with_prometheus_error_and_costs_nothing(store: Store, path: str) -> None:
    caller = await store.account()
    async with opened(store) as shard, served(store, shard) as url, client(url, caller) as luna:
        answer = await luna.get(f"{API}/{path}&query=cpu&timeout=0")
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"] == "5"
        body = answer.json()
        assert (body["status"], body["errorType"]) == ("error", "timeout")
        longer = await luna.get(f"{API}/{path}&query=cpu&timeout=1h")
        assert longer.status_code == 200, "the server's own limit bounds it"
        wrong = await luna.get(f"{API}/{path}&query=cpu(&timeout=0")
        assert (wrong.status_code, wrong.json()["errorType"]) == (400, "bad_data"), "what is wrong is said first"
        async with asyncio.timeout(20):
            while await store.left(caller.account_id) != 499:  # noqa: ASYNC110  Valkey is polled
                await asyncio.sleep(0.05)
