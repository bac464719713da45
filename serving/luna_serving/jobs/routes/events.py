"""Server-sent events: the changes of one job, and those of all jobs of an account."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Header, Query, Request, Response

from luna_serving.access.denied import Denied
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.bodies import header_map
from luna_serving.edge.event_stream import HEARTBEAT, HEARTBEAT_S, OPENAPI, RETRY, EventStream, frame, read_last_id
from luna_serving.edge.openapi import refusals
from luna_serving.edge.store_answers import store_answer
from luna_serving.jobs.routes.parts import STORE, JobParts
from luna_serving.jobs.routes.wire import at_event, dumped
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.jobs.events import PROGRESS, Event, events_after, last_event
from luna_store.jobs.objects import INLINE_BYTES
from luna_store.jobs.reading import Job, find, jobs_of
from luna_store.jobs.states import JobStatus
from luna_store.people.roles import Role
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.jobs")

# Streams of one ingress replica, and of one account on it: each is a connection.
MOST_STREAMS: Final = 1_000
MOST_OF_ACCOUNT: Final = 100
EVENTS_AT_ONCE: Final = 100
# Seconds between two looks at Postgres while it is out of reach.
OUTAGE_S: Final = 1.0
TOGETHER_S: Final = 0.02
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="The id of the last event that came.")]
LastEventParameter = Annotated[
    str | None, Query(max_length=20, description="The same, for clients that cannot set the header.")
]
ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Events.", "content": dict(OPENAPI)},
    **refusals(429),
}


def add(routes: AccountRoutes, parts: JobParts) -> None:
    """Add the routes."""
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(
        "/jobs/events",
        summary="Changes of the account's jobs, as they happen",
        description="Server-sent events: `id` increases, `event` is a status or `progress`, `data` the job without "
        "parameters and result. Begins with the next change, or after `Last-Event-ID`. A comment comes every 15 s.",
        status_code=200,
        response_class=EventStream,
        responses=ANSWER,
    )
    async def account_events(
        request: Request, own: Own, last_event_id: LastEventParameter = None, last_id: LastEventId = None
    ) -> Response:
        after = read_last_id(last_id, last_event_id)
        if after is None:
            after = await store_answer(last_event(parts.engine, own.account_id), STORE)
        return _Stream(parts, request, own, None, after).answer()

    @routes.get(
        "/jobs/{job_id}/events",
        summary="Changes of a job, as they happen",
        description="Server-sent events, as of all jobs, from the job's creation on; the last one holds the result, if "
        "it is small. The stream ends with the job. 204: it has ended, and its last event is known.",
        status_code=200,
        response_class=EventStream,
        responses={204: {"description": "There are no more events."}, **ANSWER},
    )
    async def job_events(
        request: Request,
        own: Own,
        job_id: uuid.UUID,
        last_event_id: LastEventParameter = None,
        last_id: LastEventId = None,
    ) -> Response:
        after = read_last_id(last_id, last_event_id) or 0
        detail = await parts.job(own.account_id, job_id, inline_bytes=0)
        if after and not detail.job.status.live:
            question = events_after(parts.engine, own.account_id, after, job_id=job_id, at_most=1)
            if not await store_answer(question, STORE):
                # A browser connects again after the end of a stream, unless it is told that there is no more.
                return Response(status_code=204)
        return _Stream(parts, request, own, job_id, after).answer()


class _Stream:
    """One stream of events."""

    def __init__(self, parts: JobParts, request: Request, own: Owner, job_id: uuid.UUID | None, after: int) -> None:
        self._parts = parts
        self._headers = header_map(request.scope)
        self._own = own
        self._job_id = job_id
        self._after = after

    def answer(self) -> EventStream:
        """The stream, unless there are too many.

        Raises:
            Problem: 429, 503.
        """
        watching = self._parts.watching
        if watching.of_account(self._own.account_id) >= MOST_OF_ACCOUNT:
            raise too_many_streams()
        if watching.watchers >= MOST_STREAMS:
            raise problems.overloaded()
        return EventStream(self._frames(), stall_s=self._parts.timeout_s)

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        with self._parts.watching.watch(self._own.account_id, self._job_id) as watcher:
            yield RETRY
            heard_at = time.monotonic()
            while True:
                events, patience_s = await self._next()
                if events:
                    self._after = events[-1].id
                    for each in await self._rendered(events):
                        yield each
                    heard_at = time.monotonic()
                    if len(events) == EVENTS_AT_ONCE:
                        continue
                    if self._job_id is not None and is_end(events[-1]):
                        return
                quiet_s = time.monotonic() - heard_at
                if await watcher.wait(max(0.0, min(HEARTBEAT_S - quiet_s, patience_s))):
                    # Changes that come at about the same time are read together.
                    await asyncio.sleep(TOGETHER_S)
                elif time.monotonic() - heard_at >= HEARTBEAT_S:
                    if not await self._admitted():
                        return
                    yield HEARTBEAT
                    heard_at = time.monotonic()

    async def _next(self) -> tuple[Sequence[Event], float]:
        """The events that follow, and the seconds after which to look again in any case."""
        own = self._own.account_id
        try:
            found = await events_after(
                self._parts.engine, own, self._after, job_id=self._job_id, at_most=EVENTS_AT_ONCE
            )
        except POSTGRES_GONE as e:
            log.warning("a stream of events reads nothing from Postgres: %s", e)
            return (), OUTAGE_S
        return found, HEARTBEAT_S

    async def _rendered(self, events: Sequence[Event]) -> list[bytes]:
        own = self._own.account_id
        jobs = await jobs_of(self._parts.engine, own, [each.job_id for each in events])
        frames = []
        for each in events:
            if (job := jobs.get(each.job_id)) is not None:
                document = at_event(job, each.data)
                if self._job_id is not None:
                    document["result"] = await self._result(job, each) if each is events[-1] else None
                frames.append(frame(each.id, each.event, dumped(document)))
        return frames

    async def _result(self, job: Job, event: Event) -> orjson.Fragment | None:
        """The result at a job's last event, if it is small."""
        if not is_end(event) or job.status != event.event:
            return None
        found = await find(self._parts.engine, job.account_id, job.id, inline_bytes=INLINE_BYTES)
        return None if found is None or found.result is None else orjson.Fragment(found.result)

    async def _admitted(self) -> bool:
        """Whether the caller may still see the account's jobs; yes while no store can tell."""
        authorization = self._parts.authorization
        try:
            credential = authorization.read(self._headers)
            await authorization.standing(credential, self._own.account_id, "jobs")
            authorization.require(credential, Role.VIEWER)
        except Denied:
            return False
        except Problem as problem:
            return problem.status >= 500
        return True


def is_end(event: Event) -> bool:
    """Whether a job ended with an event."""
    return event.event != PROGRESS and not JobStatus(event.event).live


def too_many_streams() -> Problem:
    """429: the account has as many streams open as it may."""
    return Problem(
        "too-many-streams",
        429,
        "The account watches too many streams of events.",
        f"{MOST_OF_ACCOUNT} are open on this replica. Close some, or watch all jobs by one: GET /jobs/events.",
        {"Retry-After": "5"},
    )
