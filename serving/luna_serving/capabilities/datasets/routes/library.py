"""`/datasets`: the library of sets. The routes cost no units."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AwareDatetime
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.datasets.report.form import HTML, JSON, form_of
from luna_serving.capabilities.datasets.report.page import page_of
from luna_serving.capabilities.datasets.routes.answering import answered, rows, wrong_state
from luna_serving.capabilities.datasets.store.reading import (
    Filter,
    file_of,
    find,
    find_with_files,
    report_of,
)
from luna_serving.capabilities.datasets.store.reading import page as page_of_sets
from luna_serving.capabilities.datasets.store.records import State
from luna_serving.capabilities.datasets.store.removing import delete
from luna_serving.capabilities.datasets.uploads.keys import incoming_of
from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.names import SET_NAME
from luna_serving.capabilities.datasets.wire.answers import detail_json, set_json, written
from luna_serving.capabilities.datasets.wire.reading import read_reference
from luna_serving.capabilities.datasets.wire.schemas import SetDetail, SetPage
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import refusals
from luna_serving.jobs.report.page import CONTENT_SECURITY_POLICY
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import StoreGone, StoreRefused
from luna_serving.wire import problems

log = logging.getLogger("luna.datasets")

SET: Final = "/datasets/{reference}"
REFERENCE: Final = (
    "`reference` is the id, `name@version`, or a name: its newest valid version, or where it has none its newest."
)
NEWEST: Final[Cursors[tuple[datetime, UUID]]] = Cursors("datasets", tuple[AwareDatetime, UUID])


def router(authorization: Authorization, engine: AsyncEngine, store: ObjectStore) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        engine: where the rows are.
        store: where the files are.
    """
    routes = AccountRoutes(authorization, "datasets", tags=["datasets"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get("/datasets", summary="The account's data sets", response_model=SetPage)
    async def list_sets(
        own: Own,
        state: Annotated[State | None, Query()] = None,
        type: Annotated[SetType | None, Query()] = None,  # noqa: A002  the parameter's name
        name: Annotated[str | None, Query(pattern=f"^{SET_NAME.pattern}$", description="All its versions.")] = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Response:
        which = Filter(state, type.value if type else None, name)
        found = await rows(page_of_sets(engine, own.account_id, which, NEWEST.read(cursor), limit + 1))
        shown = found[:limit]
        more = NEWEST.write((shown[-1].created_at, shown[-1].id)) if len(found) > limit else None
        return Response(written({"items": [set_json(each) for each in shown], "next_cursor": more}), media_type=JSON)

    @routes.get(SET, summary="A data set with its files", description=REFERENCE, response_model=SetDetail)
    async def get_set(own: Own, reference: str) -> Response:
        record, files = await rows(find_with_files(engine, own.account_id, read_reference(reference)))
        return Response(written(detail_json(record, files)), media_type=JSON)

    @routes.delete(
        SET,
        summary="Delete a data set",
        description="By its id or `name@version`; by a name all its versions. Its numbers are not given again. Files "
        "that other sets share stay with them.",
        status_code=204,
    )
    async def delete_set(own: Own, reference: str) -> Response:
        records, garbage = await rows(delete(engine, own.account_id, read_reference(reference), own.actor))
        # The rows are gone, and so is the set. What stays of its objects, the sweep removes.
        with suppress(StoreGone, StoreRefused):
            await store.delete_many(garbage)
            for each in records:
                if not each.state.has_report:
                    uploads = [listed.key async for listed in store.list(incoming_of(own.account_id, each.id))]
                    await store.delete_many(uploads)
        return Response(status_code=204)

    @routes.get(
        SET + "/files/{path:path}",
        summary="A file of a valid data set",
        description="Redirects to the object store, for 15 minutes.",
        status_code=307,
        response_class=Response,
        responses={307: {"description": "`Location` is the file."}, **refusals(409)},
    )
    async def get_file(own: Own, reference: str, path: str) -> Response:
        record = await rows(find(engine, own.account_id, read_reference(reference)))
        file = await rows(file_of(engine, record.id, path.replace("\0", "")))
        if file is None:
            raise problems.not_found(f"{record.reference} has no file of this name. GET {SET} lists them.")
        if record.state is not State.VALID or file.object_key is None:
            raise wrong_state(record)
        await answered(store.ping())
        name = file.path.rsplit("/", 1)[-1]
        location = store.presigned_get(file.object_key, name, file.media_type).url
        return Response(status_code=307, headers={"Location": location, "Cache-Control": "no-store"})

    @routes.get(
        SET + "/report",
        summary="The report on a data set",
        description="JSON, or a page for people where `Accept` prefers HTML: by itself, without scripts.",
        response_class=Response,
        responses={
            200: {"content": {JSON: {"schema": {"type": "object"}}, HTML: {"schema": {"type": "string"}}}},
            **refusals(406, 409),
        },
    )
    async def get_report(own: Own, reference: str, accept: Annotated[str | None, Header()] = None) -> Response:
        record = await rows(find(engine, own.account_id, read_reference(reference)))
        report = await rows(report_of(engine, record.id))
        if report is None:
            raise wrong_state(record)
        form = form_of(accept)
        headers = {"Vary": "Accept"}
        if form == JSON:
            return Response(report, media_type=JSON, headers=headers)
        page = await asyncio.to_thread(page_of, report)
        return Response(page, media_type=HTML, headers=headers | {"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    return routes
