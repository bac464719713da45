"""Reports of attempts: made beside the result, and never in its way."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from tests.jobs.queue.queues import KIND, claimed, queued
from tests.store.stores import Store

from luna_serving.jobs.background import Background
from luna_serving.jobs.kinds import Finished, JobKind, Running
from luna_serving.jobs.report.of_job import Sections
from luna_serving.jobs.report.page import Section, Text
from luna_serving.jobs.running.attempt import Attempt, Why
from luna_store.jobs.ending import end
from luna_store.jobs.reading import artifact_of
from luna_store.jobs.states import JobStatus


async def succeed(running: Running) -> Finished:
    return Finished(b'{"answer": 42}')


async def attempt(store: Store, sections: Sections | None, run: Any = succeed, **limits: int) -> Attempt:
    caller = await store.account(limits={name.replace("_", ".", 1): value for name, value in limits.items()})
    await queued(store, caller)
    (job,) = await claimed(store)

    async def compute(_: str, __: Sequence[Any]) -> Sequence[Any]:
        return ()

    return Attempt(job, JobKind(KIND, "", run, sections=sections), Background(store.engine, store.redis), compute)


async def test_a_result_is_stored_with_its_report(store: Store) -> None:
    made = await attempt(store, lambda parameters, result: (Section("Answer", (Text(result.decode()),)),))
    ended = await made.run()
    assert await end(store.engine, [ended])
    entry, body = await artifact_of(store.engine, made.account_id, made.job.id, "report.html")
    assert entry.media_type.startswith("text/html")
    assert b"&quot;answer&quot;: 42" in body


async def test_a_report_that_cannot_be_made_loses_no_result(store: Store) -> None:
    def broken(_: bytes, __: bytes) -> Sequence[Section]:
        raise ZeroDivisionError

    ended = await (await attempt(store, broken)).run()
    assert (ended.status, ended.result, ended.artifacts) == (JobStatus.SUCCEEDED, b'{"answer": 42}', ())


async def test_a_report_that_exceeds_the_accounts_limit_is_left_out(store: Store) -> None:
    ended = await (await attempt(store, None, jobs_result_bytes=1024)).run()
    assert (ended.status, ended.artifacts) == (JobStatus.SUCCEEDED, ())


async def test_a_cancel_or_a_stop_while_the_report_is_made_keeps_the_result(store: Store) -> None:
    for why in (Why.CANCEL, Why.STOP):
        begun, go_on = threading.Event(), threading.Event()

        def slow(_: bytes, __: bytes, begun: Any = begun, go_on: Any = go_on) -> Sequence[Section]:
            begun.set()
            go_on.wait(30)
            return ()

        made = await attempt(store, slow)
        made.task = asyncio.create_task(made.run())
        await asyncio.to_thread(begun.wait, 30)
        made.cancel(why)
        ended = await made.task
        go_on.set()
        assert (ended.status, ended.artifacts) == (JobStatus.SUCCEEDED, ())


async def test_what_a_failed_job_has_done_has_a_report_too(store: Store) -> None:
    async def stuck(running: Running) -> Finished:
        running.partial(b'{"results": []}', 1)
        await asyncio.sleep(60)
        raise AssertionError

    made = await attempt(store, None, stuck, jobs_seconds=1)
    ended = await made.run()
    assert ended.status is JobStatus.FAILED
    (report,) = ended.artifacts
    assert b"did not finish" in report.body
    assert b"jobs.seconds" in report.body
