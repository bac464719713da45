"""`GET /api/v1/{account_id}/requests`: the account's own requests, newest first."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, Field
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.account.requests.schemas import COLUMNS, RequestPage
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import refusals
from luna_serving.edge.query import Instant, in_utc
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_serving.wire.tabular import JSON, OTHER_FORMS, acceptable, rendered
from luna_store.requests.reading import Filters, Key, page

DESCRIPTION = (
    "Requests of the account's own callers, within about a second of their answers, for as many days as the "
    "installation keeps them (30 by default). Health checks are left out, and so are callers that were not recognised. "
    "CSV and Parquet hold a page as well; `Next-Cursor` of every form names the next one."
)
BY_TIME: Final = Cursors[Key]("requests", tuple[AwareDatetime, Annotated[int, Field(ge=0, lt=2**63)]])
# `\x20-\x7e` and no more: Postgres refuses NUL in text.
Route = Annotated[
    str | None, Query(max_length=200, pattern=r"^[\x20-\x7e]+$", description="A route as the list has it.")
]
Method = Annotated[str | None, Query(pattern="^[A-Z_]{1,16}$", description="Such as POST.")]
Status = Annotated[str | None, Query(pattern="^[1-5]([0-9]{2}|xx)$", description="A code, or a class such as 4xx.")]
RequestId = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9._~:/+=@-]{1,128}$", description="An X-Request-ID.")]
Principal = Annotated[str | None, Query(pattern="^[A-Za-z0-9_:-]{1,64}$", description="Such as luna_Ab3dE6gH.")]


def router(authorization: Authorization, engine: AsyncEngine) -> APIRouter:
    """Build the route.

    Args:
        authorization: recognises callers.
        engine: where the log is.
    """
    routes = AccountRoutes(authorization, "requests", tags=["account"], responses=refusals(401, 403, 404, 422, 503))

    def filters(
        since: Annotated[Instant | None, Query(description="Inclusive.")] = None,
        until: Annotated[Instant | None, Query(description="Exclusive.")] = None,
        route: Route = None,
        method: Method = None,
        status: Status = None,
        request_id: RequestId = None,
        principal: Principal = None,
    ) -> Filters:
        start = None if since is None else in_utc("/query/since", since)
        end = None if until is None else in_utc("/query/until", until)
        if start is not None and end is not None and start >= end:
            raise problems.invalid(problems.FieldError("/query/since", "Must lie before `until`."))
        return Filters(start, end, route, method, None if status is None else statuses(status), request_id, principal)

    @routes.get(
        "/requests",
        summary="Own requests, newest first; JSON, CSV or Parquet by Accept",
        description=DESCRIPTION,
        response_model=RequestPage,
        responses={200: {"description": "A page.", "content": OTHER_FORMS}, **refusals(406)},
    )
    async def requests(
        request: Request,
        own: Annotated[Owner, Depends(routes.own)],
        wanted: Annotated[Filters, Depends(filters)],
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Response:
        form = acceptable(request.headers.get("accept", "*/*"))
        question = page(engine, own.account_id, wanted, BY_TIME.read(cursor), limit)
        found = await store_answer(question, "The request log")
        following = None if found.after is None else BY_TIME.write(found.after)
        headers = {} if following is None else {"Next-Cursor": following}
        items = [shown(row) for row in found.rows]
        if form == JSON:
            body = orjson.dumps({"items": items, "next_cursor": following}, option=orjson.OPT_UTC_Z)
        else:
            body = rendered(items, COLUMNS, form)
        return Response(body, media_type=form, headers=headers)

    return routes


def statuses(status: str) -> tuple[int, int]:
    """The first and last status of a code or a class."""
    if status.endswith("xx"):
        first = int(status[0]) * 100
        return first, first + 99
    return int(status), int(status)


def shown(row: Row[Any]) -> dict[str, Any]:
    """A row as the wire has it."""
    return {
        "route": row.route,
        "method": row.method,
        "status": row.status,
        "milliseconds": round(row.milliseconds, 3),
        "bytes": row.bytes,
        "request_id": row.request_id,
        "address": None if row.address is None else str(row.address),
        "principal": row.principal,
        "at": row.at,
    }
