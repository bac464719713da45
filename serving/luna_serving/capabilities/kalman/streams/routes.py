"""`/api/v1/{account_id}/kalman/streams`: which streams an account keeps, and the end of one. They cost no units."""

import uuid
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, Field

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.kalman.store.stream_records import StreamNotFound
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import refusals
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems

STREAMS: Final = "/kalman/streams"
STORE: Final = "The stream store"
BY_USE: Final[Cursors[tuple[datetime, uuid.UUID]]] = Cursors("kalman/streams", tuple[AwareDatetime, uuid.UUID])


class Stream(BaseModel):
    """A stream of online filtering."""

    stream: uuid.UUID
    model: str = Field(description="The model's kind.")
    sequence: int = Field(description="Points taken.")
    created_at: datetime
    updated_at: datetime = Field(description="When it was last opened, resumed or given points.")


class StreamList(BaseModel):
    """An account's streams, the last used first."""

    streams: list[Stream]
    next_cursor: str | None = Field(
        description="`cursor` of the next page; null on the last. A stream that is used meanwhile moves to the front."
    )


def router(authorization: Authorization, store: KalmanStreams) -> APIRouter:
    """Build the routes."""
    routes = AccountRoutes(
        authorization, "kalman/streams", tags=["streams"], responses=refusals(401, 403, 404, 422, 503)
    )
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(STREAMS, summary="Own streams of online filtering")
    async def list_streams(own: Own, limit: Limit = PAGE, cursor: Cursor = None) -> StreamList:
        question = store.page(own.account_id, limit=limit + 1, after=BY_USE.read(cursor))
        found = await store_answer(question, STORE)
        shown = [
            Stream(
                stream=each.id,
                model=each.model,
                sequence=each.sequence,
                created_at=each.created_at,
                updated_at=each.updated_at,
            )
            for each in found[:limit]
        ]
        more = len(found) > limit
        return StreamList(
            streams=shown, next_cursor=BY_USE.write((shown[-1].updated_at, shown[-1].stream)) if more else None
        )

    @routes.delete(STREAMS + "/{stream}", summary="Delete a stream and its answers", status_code=204)
    async def delete_stream(own: Own, stream: str) -> None:
        missing = problems.not_found(f"There is no stream {stream!r}.")
        try:
            stream_id = uuid.UUID(stream)
        except ValueError as e:
            raise missing from e
        await store_answer(store.delete(own.account_id, stream_id), STORE, {StreamNotFound: lambda _: missing})

    return routes
