"""`/validation/{dataset_id}`: status, findings. They cost no units."""

import asyncio
import time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.datasets.library.states import status_of
from luna_serving.capabilities.datasets.routes.answering import answered, rows, wrong_state
from luna_serving.capabilities.datasets.routes.events import Streams
from luna_serving.capabilities.datasets.routes.showing import shown
from luna_serving.capabilities.datasets.store.reading import Reference, find, object_of
from luna_serving.capabilities.datasets.store.records import Kind
from luna_serving.capabilities.datasets.wire.answers import written
from luna_serving.capabilities.datasets.wire.reading import read_id
from luna_serving.capabilities.datasets.wire.schemas import StatusAnswer
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.openapi import refusals
from luna_serving.edge.prefer import APPLIED, PreferHeader, wait_within
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.streaming import streamed

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
# Seconds between two looks at a set that a caller waits for.
LOOK_S: Final = 0.25
# Seconds that a caller who does not wait is asked to leave between two calls.
RETRY_AFTER_S: Final = 1


def router(authorization: Authorization, engine: AsyncEngine, store: ObjectStore, *, timeout_s: float) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        engine: where the rows are.
        store: where all findings are.
        timeout_s: seconds that a call may take, and that a caller of a stream may read nothing.
    """
    routes = AccountRoutes(authorization, "validation", tags=["datasets"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(
        "/validation/{dataset_id}/status",
        summary="The verdict on a data set, or how far it is",
        description="`invalid` means the caller's data, with every reason. `failed` means our side: nothing is charged "
        "and the upload may be completed again. While it is open, `Retry-After` says when to ask again.",
        response_model=StatusAnswer,
        responses={200: {"headers": APPLIED}},
    )
    async def status(request: Request, own: Own, dataset_id: str, prefer: PreferHeader = None) -> Response:
        del prefer  # read from the request
        reference = Reference(read_id(dataset_id, "/path/dataset_id"))
        seconds = wait_within(request.scope, timeout_s)
        until = time.monotonic() + (seconds or 0)
        found = await rows(status_of(engine, own.account_id, reference))
        while not found.record.state.over and time.monotonic() < until:
            await asyncio.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))
            found = await rows(status_of(engine, own.account_id, reference))
        headers = {} if found.record.state.over else {"Retry-After": str(RETRY_AFTER_S)}
        if seconds is not None:
            headers["Preference-Applied"] = f"wait={seconds}"
        return Response(written(shown(found)), 200, headers, JSON)

    @routes.get(
        "/validation/{dataset_id}/findings",
        summary="All findings on a data set",
        description="One JSON object per line, also those that the status does not list. Only after the verdict.",
        response_class=StreamingResponse,
        responses={200: {"content": {NDJSON: {"schema": {"type": "string"}}}}, **refusals(409)},
    )
    async def findings(own: Own, dataset_id: str) -> Response:
        reference = Reference(read_id(dataset_id, "/path/dataset_id"))
        record = await rows(find(engine, own.account_id, reference))
        if not record.state.has_report:
            raise wrong_state(record)
        key = await rows(object_of(engine, record.id, Kind.FINDINGS))
        if key is None:
            raise wrong_state(record)
        head, chunks = await answered(streamed(store, key))
        return StreamingResponse(chunks, media_type=NDJSON, headers={"Content-Length": str(head.bytes)})

    Streams(engine, stall_s=timeout_s).add(routes)
    return routes
