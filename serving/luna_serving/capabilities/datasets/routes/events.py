"""`/validation/{dataset_id}/events`: the state of a set as server-sent events."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Query, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.datasets.library.states import Status, status_of
from luna_serving.capabilities.datasets.routes.answering import rows
from luna_serving.capabilities.datasets.routes.showing import shown
from luna_serving.capabilities.datasets.store.reading import Reference
from luna_serving.capabilities.datasets.store.records import SetNotFound, State
from luna_serving.capabilities.datasets.wire.answers import written
from luna_serving.capabilities.datasets.wire.reading import read_id
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.event_stream import HEARTBEAT, HEARTBEAT_S, OPENAPI, RETRY, EventStream, frame, read_last_id
from luna_serving.edge.openapi import refusals
from luna_serving.wire.problems import Problem
from luna_store.platform.postgres import POSTGRES_GONE

# Seconds between two looks at the set, and the longest that a stream lasts: a client connects again.
LOOK_S: Final = 0.5
LONGEST_S: Final = 3600.0
# Streams of one ingress replica; each looks twice a second.
MOST_STREAMS: Final = 200
PROGRESS: Final = "progress"
_BEGIN: Final = {State.UPLOADING: 1, State.VALIDATING: 1_000}
_END: Final = 2**53
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="The id of the last event that came.")]


class Streams:
    """The streams of one ingress replica."""

    def __init__(self, engine: AsyncEngine, *, stall_s: float) -> None:
        self._engine = engine
        self._stall_s = stall_s
        self._open = 0

    def add(self, routes: AccountRoutes) -> None:
        """Add the route."""
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.get(
            "/validation/{dataset_id}/events",
            summary="The validation of a data set, as it goes on",
            description="Server-sent events: `event` is a state or `progress`, `data` as in the status. "
            "The stream ends with the verdict. 204: it is known already.",
            status_code=200,
            response_class=EventStream,
            responses={
                200: {"description": "Events.", "content": dict(OPENAPI)},
                204: {"description": "There are no more events."},
                **refusals(429),
            },
        )
        async def events(
            own: Own,
            dataset_id: str,
            last_event_id: Annotated[str | None, Query(max_length=20, description="As the header.")] = None,
            last_id: LastEventId = None,
        ) -> Response:
            after = read_last_id(last_id, last_event_id) or 0
            reference = Reference(read_id(dataset_id, "/path/dataset_id"))
            status = await rows(status_of(self._engine, own.account_id, reference))
            if status.record.state.over and after >= event_id(status):
                return Response(status_code=204)
            if self._open >= MOST_STREAMS:
                raise too_many_streams()
            return EventStream(self._frames(own.account_id, reference, after), stall_s=self._stall_s)

    async def _frames(self, account_id: int, reference: Reference, after: int) -> AsyncGenerator[bytes, None]:
        self._open += 1
        begun = heard_at = time.monotonic()
        state: State | None = None
        try:
            yield RETRY
            while time.monotonic() - begun < LONGEST_S:
                status = await self._status(account_id, reference)
                if status is not None and (number := event_id(status)) > after:
                    after, heard_at = number, time.monotonic()
                    name = PROGRESS if status.record.state is state else status.record.state.value
                    state = status.record.state
                    yield frame(number, name, written(shown(status)))
                if status is not None and status.record.state.over:
                    return
                if time.monotonic() - heard_at >= HEARTBEAT_S:
                    heard_at = time.monotonic()
                    yield HEARTBEAT
                await asyncio.sleep(LOOK_S)
        except SetNotFound:
            return  # It was deleted.
        finally:
            self._open -= 1

    async def _status(self, account_id: int, reference: Reference) -> Status | None:
        try:
            return await status_of(self._engine, account_id, reference)
        except POSTGRES_GONE:
            return None


def event_id(status: Status) -> int:
    """The number of the event that a status is: it increases with the state and with the files that are done."""
    state = status.record.state
    if state.over:
        return _END
    completed: Any = status.progress["completed"]
    return _BEGIN[state] + int(completed)


def too_many_streams() -> Problem:
    """429: as many streams are open as may be."""
    return Problem(
        "too-many-streams",
        429,
        "Too many streams of events are open.",
        f"{MOST_STREAMS} are open on this replica. Ask for the status with Prefer: wait=20 instead.",
        {"Retry-After": "5"},
    )
