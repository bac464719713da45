"""Streams of events on real stores, where a test decides what becomes of a job and of its watcher."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import httpx
import pytest
import uvicorn
from tests.jobs.http.in_process import Api, serving
from tests.jobs.http.jobs import events
from tests.jobs.queue.queues import claimed, queued
from tests.store.stores import Store

from luna_serving.edge import http_protocol
from luna_serving.jobs.routes import events as streams
from luna_serving.jobs.wake import Waker
from luna_store.jobs.ending import Ended, end
from luna_store.jobs.leases import Beat, beat
from luna_store.jobs.states import JobStatus


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  what others do sets no event
            await asyncio.sleep(0.01)


async def run_to_its_end(store: Store, status: JobStatus = JobStatus.SUCCEEDED, result: bytes | None = b"{}") -> None:
    (job,) = await claimed(store)
    await end(store.engine, [Ended(job.id, job.account_id, job.fence, status, 4, result=result)])


async def test_a_stream_outlives_the_time_of_a_call_and_says_that_it_is_alive(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.2)
    caller = await store.account()
    job_id = await queued(store, caller)
    async with (
        serving(store, caller, timeout_s=0.3) as api,
        api.client.stream("GET", f"/jobs/{job_id}/events") as answer,
    ):
        lines = answer.aiter_lines()
        begun, comments = time.monotonic(), 0
        while comments < 4:
            comments += (await anext(lines)) == ": heartbeat"
        assert time.monotonic() - begun >= 0.8
        await run_to_its_end(store)
        rest = [line async for line in lines]
    assert "event: succeeded" in rest
    assert "parameters" not in "".join(rest)


async def test_what_redis_does_not_tell_comes_by_polling(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    async with serving(store, caller) as api, api.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        stream = events(answer)
        assert (await anext(stream)).event == "queued"
        begun = time.monotonic()
        # The store alone publishes nothing.
        await run_to_its_end(store)
        names = [each.event async for each in stream]
    assert names[-1] == "succeeded"
    assert time.monotonic() - begun < 10


async def test_what_redis_tells_comes_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    async with serving(store, caller) as api:
        api.watching._poll_s = 3600
        async with api.client.stream("GET", f"/jobs/{job_id}/events") as answer:
            stream = events(answer)
            assert (await anext(stream)).event == "queued"
            (job,) = await claimed(store)
            progress = {"completed": 2, "total": 4, "unit": "steps", "estimate": {"value": 1.5, "std_error": 0.1}}
            await beat(store.engine, [Beat(job.id, job.fence, progress)], [caller.account_id])
            # Published until the listener has subscribed.
            async with asyncio.timeout(20):
                told = asyncio.create_task(tell_again_and_again(store, caller.account_id, job_id))
                found = [await anext(stream), await anext(stream)]
                told.cancel()
    assert [each.event for each in found] == ["running", "progress"]
    assert found[1].data["progress"] == progress


async def tell_again_and_again(store: Store, account_id: int, job_id: object) -> None:
    while True:
        await Waker(store.redis).event(account_id, job_id)  # type: ignore[arg-type]
        await asyncio.sleep(0.1)


async def test_a_caller_that_vanishes_leaves_no_watcher_and_no_task(store: Store) -> None:
    caller = await store.account()
    await queued(store, caller)
    async with serving(store, caller) as api:
        async with api.client.stream("GET", "/jobs/events"):
            await until(lambda: api.watching.watchers == 1)
        await until(lambda: api.watching.watchers == 0)
        at_rest = len(asyncio.all_tasks())
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(api.client.stream("GET", "/jobs/events"))
            await until(lambda: api.watching.watchers == 20)
            assert len(asyncio.all_tasks()) > at_rest
        await until(lambda: api.watching.watchers == 0)
        await until(lambda: len(asyncio.all_tasks()) <= at_rest)


async def test_a_caller_that_hangs_up_while_it_waits_is_not_waited_for(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    async with serving(store, caller) as api:
        with pytest.raises(httpx.ReadTimeout):
            await api.client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=10"}, timeout=0.5)
        begun = time.monotonic()
        await until(lambda: api.watching.watchers == 0)
    assert time.monotonic() - begun < 5


async def test_a_stream_ends_when_its_key_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    caller = await store.account()
    async with serving(store, caller) as api, api.client.stream("GET", "/jobs/events") as answer:
        await until(lambda: api.watching.watchers == 1)
        await store.accounts.update(caller.account_id, state="suspended")
        await store.cache.rebuild(caller.account_id)
        async with asyncio.timeout(20):
            assert [each async for each in events(answer)] == []


async def test_streams_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    caller, other = await store.account(), await store.account()
    monkeypatch.setattr(streams, "MOST_OF_ACCOUNT", 2)
    async with serving(store, caller) as api, contextlib.AsyncExitStack() as stack:
        await two_streams(api, stack)
        refused = await api.client.get("/jobs/events")
        assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (429, True)
        assert refused.json()["type"].endswith("/too-many-streams")
        monkeypatch.setattr(streams, "MOST_STREAMS", 2)
        overloaded = await api.client.get("/jobs/events", headers={"X-API-Key": other.key.secret})
        assert (overloaded.status_code, "retry-after" in overloaded.headers) == (503, True)


async def two_streams(api: Api, stack: contextlib.AsyncExitStack) -> None:
    for _ in range(2):
        await stack.enter_async_context(api.client.stream("GET", "/jobs/events"))
    await until(lambda: api.watching.watchers == 2)


async def test_a_long_past_is_told_in_full_and_in_order(store: Store) -> None:
    caller = await store.account()
    job_id = await queued(store, caller)
    (job,) = await claimed(store)
    for i in range(120):
        progress = {"completed": i, "total": 120, "unit": "steps"}
        await beat(store.engine, [Beat(job.id, job.fence, progress)], [caller.account_id])
    await end(
        store.engine,
        [
            Ended(
                job.id,
                job.account_id,
                job.fence,
                JobStatus.FAILED,
                0,
                error={"type": "internal", "title": "T", "detail": "D"},
            )
        ],
    )
    async with serving(store, caller) as api, api.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        found = [each async for each in events(answer)]
    assert [each.data["progress"]["completed"] for each in found[2:-1]] == list(range(120))
    assert found[-1].data["error"]["type"] == "https://luna.dev/problems/internal"
    assert [each.id for each in found] == sorted({each.id for each in found})


async def test_a_server_that_stops_ends_its_streams(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", f"{http_protocol.__name__}:ProblemProtocol")
    caller = await store.account()
    async with httpx.AsyncClient(headers={"X-API-Key": caller.key.secret}) as watching:
        async with serving(store, caller) as api:
            request = watching.build_request("GET", f"{api.client.base_url}jobs/events")
            answer = await watching.send(request, stream=True)
            await until(lambda: api.watching.watchers == 1)
        assert api.watching.watchers == 0
        # Its end is no error: callers go on elsewhere.
        assert [each async for each in events(answer)] == []
