"""`/api/v1/{account_id}/kalman/streams`: which streams an account keeps, and the end of one. They cost no units."""

import uuid
from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from luna_serving.access.authorization import Authorization
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.capabilities.kalman.store.streams import KalmanStreams, StreamNotFound
from luna_serving.edge.bodies import header_map
from luna_serving.edge.openapi import SECURITY, problem_responses
from luna_serving.wire import problems
from luna_store.quota.debits import StoreUnavailable

STREAMS = "/api/v1/{account_id}/kalman/streams"
OPENAPI = {"security": SECURITY}
REFUSALS: dict[int | str, dict[str, Any]] = {
    int(status): answer for status, answer in problem_responses((401, 403, 404, 503)).items()
}

T = TypeVar("T")


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


def router(authorization: Authorization, store: KalmanStreams) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["streams"], responses=REFUSALS)

    async def own(request: Request, response: Response, account_id: Annotated[int, Path(ge=1, lt=2**31)]) -> int:
        standing = await authorization.standing(
            authorization.read(header_map(request.scope)), account_id, "kalman/streams"
        )
        request.state.standing = standing
        response.headers.update({n.decode(): v.decode() for n, v in ratelimit_headers(standing)})
        return account_id

    Own = Annotated[int, Depends(own)]  # noqa: N806  a type

    @routes.get(STREAMS, summary="Own streams of online filtering", openapi_extra=OPENAPI)
    async def list_streams(account: Own) -> StreamList:
        found = await _asked(store.page(account))
        return StreamList(
            streams=[
                Stream(
                    stream=each.id,
                    model=each.model,
                    sequence=each.sequence,
                    created_at=each.created_at,
                    updated_at=each.updated_at,
                )
                for each in found
            ]
        )

    @routes.delete(
        STREAMS + "/{stream}",
        summary="Delete a stream and its answers",
        status_code=204,
        openapi_extra=OPENAPI,
    )
    async def delete_stream(account: Own, stream: str) -> None:
        try:
            await _asked(store.delete(account, uuid.UUID(stream)))
        except (StreamNotFound, ValueError) as e:
            raise problems.not_found(f"There is no stream {stream!r}.") from e

    return routes


async def _asked(question: Awaitable[T]) -> T:
    try:
        return await question
    except StoreUnavailable as e:
        raise problems.dependencies_gone("The stream store") from e
