"""Other protocols, limits, charges and deaths over HTTP, in a running Luna."""

import asyncio
import re
import time

import cramjam
import httpx
import psutil
from benchmarks.metrics.prometheus_messages import V1
from tests.serving.platform import Caller, Luna, Platform


def now() -> int:
    """Milliseconds since 1970; `conftest` sets NOW for each test."""
    return time.time_ns() // 1_000_000 // 1_000 * 1_000


NOW = now()
API = "/prometheus/api/v1"


def remote_write(*series: tuple[dict[str, str], list[tuple[int, float]]]) -> bytes:
    request = V1["WriteRequest"]()
    for labels, samples in series:
        each = request.timeseries.add()
        for name, value in sorted(labels.items()):
            each.labels.add(name=name, value=value)
        for at, value in samples:
            each.samples.add(timestamp=at, value=value)
    metadata = request.metadata.add()
    metadata.type, metadata.metric_family_name, metadata.help, metadata.unit = 1, "requests", "All of them.", "calls"
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


async def values(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"{API}/query", params={"query": query, "time": NOW / 1e3})
    assert answer.status_code == 200, answer.text
    return [each["value"][1] for each in answer.json()["data"]["result"]]


async def test_samples_of_every_protocol_are_in_the_next_answer(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        body = remote_write(({"__name__": "requests", "job": "a"}, [(NOW - 60_000, 5.0), (NOW, 7.0)]))
        headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
        written = await client.post("/prometheus/write", content=body, headers=headers)
        assert (written.status_code, written.text) == (204, "")
        assert await values(client, "requests") == ["7"]
        metadata = (await client.get(f"{API}/metadata")).json()
        assert metadata["data"] == {"requests": [{"type": "counter", "help": "All of them.", "unit": "calls"}]}

        lines = f"cpu,host=a idle=97.5,user=2i {NOW // 1_000}"
        written = await client.post("/influx/write", params={"precision": "s"}, content=lines)
        assert written.status_code == 204, written.text
        assert await values(client, "cpu_idle + cpu_user") == ["99.5"]

        point = {"timeUnixNano": str(NOW * 1_000_000), "asDouble": 1.5}
        metrics = [{"name": "queue.length", "gauge": {"dataPoints": [point]}}]
        otlp = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
        written = await client.post("/otlp/v1/metrics", json=otlp)
        assert (written.status_code, written.json()) == (200, {}), written.text
        assert await values(client, "queue_length") == ["1.5"]

        wrong = await client.post("/prometheus/write", content=b"nothing", headers=headers)
        assert (wrong.status_code, wrong.json()["type"].rpartition("/")[2]) == (400, "malformed")


async def test_what_is_wrong_or_beyond_a_limit_is_refused_with_its_place_and_costs_nothing(platform: Platform) -> None:
    limits = {"metrics.active_series": 2, "metrics.samples_per_second": 100}
    caller = await platform.caller(**limits)
    async with caller.client() as client:
        item = {"name": "cpu", "value": 1.0}
        one = await client.post("/metrics/ingest", json=item | {"value": "high"})
        assert (one.status_code, one.json()["errors"][0]["pointer"]) == (422, "/value")
        batch = {"metrics": [item | {"labels": {"user": str(n)}} for n in range(3)] + [{"name": "cpu"}]}
        answer = (await client.post("/metrics/batch", json=batch)).json()
        assert answer["accepted"] == 2
        kinds = [(each["index"], each["type"].rpartition("/")[2]) for each in answer["rejected"]]
        assert kinds == [(2, "too-many-series"), (3, "invalid")]
        refused = await client.post("/metrics/ingest", json=item | {"labels": {"user": "new"}})
        assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (429, "too-many-series")
        assert int(refused.headers["retry-after"]) > 0
        assert "'user' has 2 values" in refused.json()["detail"]
        stamps = [NOW - n for n in range(1_200)]
        many = {"series": [{"name": "cpu", "labels": {"user": "0"}, "timestamps": stamps, "values": [1.0] * 1_200}]}
        # More than a burst is taken when nothing was used up, so the first call may come too early.
        while (await client.post("/metrics/batch", json=many)).status_code == 429:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        fast = await client.post("/metrics/batch", json=many)
        assert (fast.status_code, fast.json()["type"].rpartition("/")[2]) == (429, "too-many-samples")
        assert 1 <= int(fast.headers["retry-after"]) <= 20
        query = await client.get("/metrics/query/instant", params={"query": "sum(cpu"})
        assert (query.status_code, query.json()["errors"][0]["pointer"]) == (422, "/query/query")
        assert query.json()["offset"] == 7
        assert (await client.get("/metrics/latest/nothing")).status_code == 404


async def test_calls_cost_what_the_page_says(platform: Platform) -> None:
    caller = await platform.caller()
    before = platform.left(caller.id)
    async with caller.client() as client:
        await ingest(client, 2_500)  # three units
        for path in ("/metrics/names", f"{API}/labels", f"{API}/status/buildinfo"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/metrics/latest/cpu")).status_code == 200
        assert (await client.get("/metrics/stats/cpu")).status_code == 200
        assert (await client.get(f"{API}/query", params={"query": "sum(cpu"})).status_code == 400
        assert await values(client, "count(cpu)") == ["1"]
    async with asyncio.timeout(10):
        while before - platform.left(caller.id) != 3 + 3:  # noqa: ASYNC110  refunds come later
            await asyncio.sleep(0.05)


async def ingest(client: httpx.AsyncClient, samples: int) -> None:
    stamps = [NOW - 10 * n for n in range(samples)]
    series = {
        "name": "cpu",
        "labels": {"host": "a"},
        "timestamps": stamps,
        "values": [float(n) for n in range(samples)],
    }
    answer = await client.post("/metrics/batch", json={"series": [series]})
    assert (answer.status_code, answer.json()) == (200, {"accepted": samples}), answer.text


def shard_of(luna: Luna) -> psutil.Process:
    for process in psutil.Process(luna.process.pid).children(recursive=True):
        if re.search("metrics-shard-0", " ".join(process.cmdline())):
            return process
    raise AssertionError("no process has metrics-shard in its title")


async def test_a_killed_shard_costs_time_and_no_sample(platform: Platform) -> None:
    caller: Caller = await platform.caller()
    async with caller.client() as client:
        await ingest(client, 100)
        shard_of(platform).kill()
        began = time.monotonic()
        answer = await client.get("/metrics/stats/cpu", headers={"X-Request-Timeout-Seconds": "30"})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["count"], answer.json()["last"]) == (100, 0.0)
        assert time.monotonic() - began < 20
        await ingest(client, 200)
        assert await values(client, "count_over_time(cpu[1h])") == ["200"]
