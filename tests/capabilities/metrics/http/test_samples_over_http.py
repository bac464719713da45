"""Samples over HTTP, in a running Luna: what is acknowledged is in the next answer of every route."""

import asyncio
import time

import pytest
from tests.serving.platform import Luna


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000 // 1_000 * 1_000


NOW = now()


@pytest.mark.parametrize("columns", [False, True])
async def test_what_was_ingested_is_in_the_next_answer_of_every_route(platform: Luna, columns: bool) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        one = await client.post(
            "/metrics/ingest", json={"name": "cpu", "value": 0.5, "timestamp": NOW - 120_000, "labels": {"host": "a"}}
        )
        assert (one.status_code, one.json()) == (200, {"accepted": 1}), one.text
        times, values = [NOW - 60_000, NOW - 30_000], [1.0, 2.0]
        body: dict[str, object] = {
            "metrics": [
                {"name": "cpu", "value": value, "timestamp": at, "labels": {"host": "a"}}
                for at, value in zip(times, values, strict=True)
            ]
        }
        if columns:
            series = {"name": "cpu", "labels": {"host": "a"}, "timestamps": times, "values": values}
            body = {"series": [series]}
        batch = await client.post("/metrics/batch", json=body)
        assert (batch.status_code, batch.json()) == (200, {"accepted": 2}), batch.text

        names = await client.get("/metrics/names")
        assert names.json() == {"names": ["cpu"]}
        latest = (await client.get("/metrics/latest/cpu")).json()
        assert latest == {"name": "cpu", "series": [{"labels": {"host": "a"}, "timestamp": times[1], "value": 2.0}]}
        stats = (await client.get("/metrics/stats/cpu")).json()
        assert (stats["count"], stats["min"], stats["max"], stats["first"], stats["last"]) == (3, 0.5, 2.0, 0.5, 2.0)
        instant = (await client.get("/metrics/query/instant", params={"query": 'cpu{host="a"}'})).json()
        assert instant["data"]["result"][0]["value"][1] == "2"
        bounds = {"query": "cpu", "start": (NOW - 60_000) / 1e3, "end": NOW / 1e3, "step": "30s"}
        matrix = (await client.get("/metrics/query/range", params=bounds)).json()
        assert [value for _, value in matrix["data"]["result"][0]["values"]] == ["1", "2", "2"]
        ours = {"name": "cpu", "aggregation": "sum", "start": NOW - 60_000, "end": NOW, "step": "30s"}
        summed = (await client.post("/metrics/query", json=ours)).json()
        assert [value for _, value in summed["data"]["result"][0]["values"]] == ["1", "2", "2"]
        buckets = (await client.get("/metrics/aggregated", params={"name": "cpu", "interval": "1d"})).json()
        assert sum(each["count"] for each in buckets["series"][0]["buckets"]) == 3

        api = "/prometheus/api/v1"
        grafana = await client.post(f"{api}/query", data={"query": "count(cpu)"})
        assert grafana.json()["data"]["result"][0]["value"][1] == "1"
        assert (await client.get(f"{api}/labels")).json()["data"] == ["__name__", "host"]
        assert (await client.get(f"{api}/label/host/values")).json()["data"] == ["a"]
        found = await client.get(f"{api}/series", params={"match[]": "cpu"})
        assert found.json()["data"] == [{"__name__": "cpu", "host": "a"}]
        wrong = await client.get(f"{api}/query", params={"query": "sum(cpu"})
        assert (wrong.status_code, wrong.json()["errorType"]) == (400, "bad_data")
        assert (await client.get(f"{api}/status/buildinfo")).json()["status"] == "success"


async def test_what_is_refused_costs_nothing_and_says_so(platform: Luna) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        await client.post("/metrics/ingest", json={"name": "cpu", "value": 0.5})
        left = platform.left(caller.id)
        wrong = await client.post("/metrics/query", json={"query": "cpu", "limit": 0})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/limit")
        bounds = {"query": "cpu", "start": 0, "end": 11_001, "step": 1}
        many = await client.get("/metrics/query/range", params=bounds)
        assert (many.status_code, many.json()["errors"][0]["pointer"]) == (400, "/query/step")
        many = await client.get("/prometheus/api/v1/query_range", params=bounds)
        assert (many.status_code, many.json()["errorType"]) == (400, "bad_data")
        most = await client.get("/metrics/query/range", params={**bounds, "end": 11_000})
        assert most.status_code == 200, most.text
        large = await client.post("/metrics/ingest", json={"name": "cpu", "value": 0.5, "labels": {"a": "x" * 300_000}})
        assert large.status_code == 413
    async with asyncio.timeout(10):
        while platform.left(caller.id) != left - 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
