"""Server-sent events of a running Luna, through its proxy."""

import asyncio
import contextlib
import re
import time
from datetime import datetime

import httpx
import pytest
from tests.jobs.http.jobs import Event, created, ended, events, finished, fit, simulation
from tests.serving.platform import Platform

LIVE = {"queued", "running", "progress"}


async def collected(client: httpx.AsyncClient, path: str, **headers: str) -> list[Event]:
    """All events of a stream that ends."""
    async with asyncio.timeout(60), client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [each async for each in events(answer)]


async def test_a_jobs_stream_tells_its_life_and_ends_with_it(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(40, labels={"desk": "fx"}))
        async with client.stream("GET", platform.url + job["links"]["events"]) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["cache-control"] == "no-store"
            assert "ratelimit" in answer.headers
            found = [each async for each in events(answer)]
        last = await ended(client, job["id"])
    ids = [each.id for each in found]
    assert ids == sorted(set(ids))
    assert [found[0].event, found[1].event, found[-1].event] == ["queued", "running", "succeeded"]
    assert {each.event for each in found[:-1]} <= LIVE
    for each in found:
        assert each.data["id"] == job["id"]
        assert each.data["labels"] == {"desk": "fx"}
        assert "parameters" not in each.data
        assert each.data["status"] == ("running" if each.event == "progress" else each.event)
    assert [each.data["attempt"] for each in found[:2]] == [0, 1]
    assert found[0].data["started_at"] is None
    completed = [each.data["progress"]["completed"] for each in found]
    assert completed == sorted(completed)
    assert found[-1].data["result"] == last["result"]
    assert found[-1].data["finished_at"] == last["finished_at"]
    assert found[-1].data["units_used"] == 40
    # Beyond what the page of the job adds.
    assert {n: v for n, v in found[-1].data.items() if n in last} == {n: last[n] for n in found[-1].data}


@pytest.mark.parametrize("by", ["header", "parameter"])
async def test_a_stream_goes_on_after_the_last_event_that_came(platform: Platform, by: str) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, simulation())
        path = f"/jobs/{job['id']}/events"
        found = await collected(client, path)
        for i, each in enumerate(found[:-1]):
            if by == "header":
                rest = await collected(client, path, **{"Last-Event-ID": str(each.id)})
            else:
                rest = await collected(client, f"{path}?last_event_id={each.id}")
            assert rest == found[i + 1 :]
        done = await client.get(path, headers={"Last-Event-ID": str(found[-1].id)})
        assert (done.status_code, done.content) == (204, b"")
        wrong = await client.get(path, headers={"Last-Event-ID": "x"})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/header/last-event-id")


async def test_a_retried_jobs_stream_ends_with_its_last_end(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(1000))
        await client.delete(f"/jobs/{job['id']}")
        await ended(client, job["id"])
        await client.post(f"/jobs/{job['id']}/retry")
        await client.delete(f"/jobs/{job['id']}")
        names = [each.event for each in await collected(client, f"/jobs/{job['id']}/events")]
    assert names.count("cancelled") == 2
    assert names[-1] == "cancelled"


async def test_the_accounts_stream_tells_of_all_its_jobs_and_of_no_others(platform: Platform) -> None:
    caller, other = await platform.caller(), await platform.caller()
    async with caller.client() as client, other.client() as stranger:
        before = await finished(client, simulation())
        async with asyncio.timeout(60), client.stream("GET", "/jobs/events") as answer:
            stream = events(answer)
            await created(stranger, simulation())
            made = {(await created(client, simulation()))["id"] for _ in range(3)}
            left, seen = set(made), []
            while left:
                each = await anext(stream)
                seen.append(each)
                if each.event == "succeeded":
                    left.discard(each.data["id"])
        assert {each.data["id"] for each in seen} == made
        assert [each.id for each in seen] == sorted({each.id for each in seen})
        assert all("result" not in each.data for each in seen)
        async with asyncio.timeout(60), client.stream("GET", "/jobs/events", headers={"Last-Event-ID": "0"}) as answer:
            first = await anext(events(answer))
            assert (first.data["id"], first.event) == (before["id"], "queued")


async def test_changes_arrive_as_they_happen(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client, client.stream("GET", "/jobs/events") as answer:
        stream = events(answer)
        delays = []
        for _ in range(5):
            job = await created(client, simulation())
            each = await anext(stream)
            delays.append(time.time() - created_at(job))
            assert each.data["id"] == job["id"]
            while each.event != "succeeded":
                each = await anext(stream)
    assert sorted(delays)[2] < 1.0


def created_at(job: dict[str, str]) -> float:
    return datetime.fromisoformat(job["created_at"]).timestamp()


async def test_head_of_a_stream_ends(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        answer = await client.head("/jobs/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")


async def test_streams_of_callers_that_vanish_leave_nothing(platform: Platform) -> None:
    caller = await platform.caller()
    at_rest = await watchers(platform, lambda count: True)
    async with caller.client() as client:
        streams = contextlib.AsyncExitStack()
        async with streams:
            for _ in range(20):
                answer = await streams.enter_async_context(client.stream("GET", "/jobs/events"))
                assert answer.status_code == 200
            await watchers(platform, lambda count: count >= at_rest + 20)
        assert await watchers(platform, lambda count: count <= at_rest) <= at_rest


async def watchers(platform: Platform, wanted: object) -> float:
    """The gauge of all ingress replicas, once it is as wanted; they report every five seconds."""
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            text = (await client.get(f"{platform.url}/metrics")).text
            found = re.search(r"^luna_jobs_watchers(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
            count = float(found[1]) if found else 0.0
            if wanted(count):  # type: ignore[operator]
                return count
            await asyncio.sleep(0.1)
    raise AssertionError(count)
