"""`/api/v1/{account_id}/jobs`: creating, listing, reading, cancelling, retrying."""

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body
from luna_serving.edge.cursors import PAGE, Cursor, Limit
from luna_serving.edge.idempotency import KeyHeader
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.prefer import APPLIED, PreferHeader
from luna_serving.edge.store_answers import store_answer
from luna_serving.jobs.routes import events, results
from luna_serving.jobs.routes.answers import LIVE, LOCATION, TAG, shown
from luna_serving.jobs.routes.creating import caller_of, checked, created, show_standing
from luna_serving.jobs.routes.creation import JobRequest
from luna_serving.jobs.routes.listing import CURSORS, LABELS, filters, order_of
from luna_serving.jobs.routes.manifests import manifest
from luna_serving.jobs.routes.parts import STORE, JobParts, answered, meanings, missing
from luna_serving.jobs.routes.schemas import Cost, ExtendRequest, JobAnswer, JobManifest, JobPage
from luna_serving.jobs.routes.stored import delete_all
from luna_serving.jobs.routes.waiting import waited
from luna_serving.jobs.routes.wire import dumped, item
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_store.jobs.cancelling import cancel, delete_data
from luna_store.jobs.reading import Filter, list_jobs, manifest_of, result_of

JOBS: Final = "/jobs"
JOB: Final = JOBS + "/{job_id}"
CREATED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": JobAnswer, "description": "Queued.", "headers": LOCATION | APPLIED},
    200: {
        "model": JobAnswer | Cost,
        "description": "The job that an earlier call with this Idempotency-Key created, as it is now; or, with "
        "`validate_only`, units and plan.",
    },
    **refusals(408, 409, 413, 415),
}


def router(parts: JobParts) -> APIRouter:
    """Build the routes."""
    routes = AccountRoutes(parts.authorization, "jobs", tags=["jobs"], responses=refusals(401, 403, 404, 422, 503))
    _add_collection(routes, parts)
    # Before the routes of one job: `events` is no job's id.
    events.add(routes, parts)
    results.add(routes, parts)
    _add_one(routes, parts)
    return routes


def _add_collection(routes: AccountRoutes, parts: JobParts) -> None:
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    async def create_job(
        request: Request,
        own: Own,
        validate_only: Annotated[bool, Query(description="Check, and answer cost and plan; charge nothing.")] = False,
        idempotency_key: KeyHeader = None,
        prefer: PreferHeader = None,
    ) -> Response:
        del idempotency_key, prefer  # read from the request
        return await (checked if validate_only else created)(parts, request, own)

    async def list_all(
        own: Own, which: Annotated[Filter, Depends(filters)], limit: Limit = PAGE, cursor: Cursor = None
    ) -> Response:
        cursors = CURSORS[order_of(which)]
        question = list_jobs(parts.engine, own.account_id, which, cursors.read(cursor), limit + 1)
        found = await store_answer(question, STORE)
        last = found[limit - 1] if len(found) > limit else None
        following = None if last is None else cursors.write((last.created_at, last.id))
        return answered(dumped({"items": [item(job) for job in found[:limit]], "next_cursor": following}))

    for path, documented in ((JOBS + "/", True), (JOBS, False)):
        routes.add_api_route(
            path,
            create_job,
            methods=["POST"],
            summary="Create a job",
            description="The parameters are checked in full before the answer. Its units are reserved now, and settled "
            "to the work that was done when it ends. A refused job costs nothing.",
            status_code=201,
            responses=CREATED,
            openapi_extra=json_request(JobRequest),
            include_in_schema=documented,
        )
        routes.add_api_route(
            path,
            list_all,
            methods=["GET"],
            summary="The account's jobs",
            description="Without parameters and results.",
            response_model=JobPage,
            openapi_extra={"parameters": [LABELS]},
            include_in_schema=documented,
        )


def _add_one(routes: AccountRoutes, parts: JobParts) -> None:
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type
    engine = parts.engine

    @routes.get(
        JOB,
        summary="A job",
        response_model=JobAnswer,
        responses={
            200: {"headers": TAG | LIVE | APPLIED},
            304: {"description": "If-None-Match names its present state."},
        },
    )
    async def get_job(
        request: Request,
        own: Own,
        job_id: uuid.UUID,
        prefer: PreferHeader = None,
        if_none_match: Annotated[str | None, Header(description="Entity tags that are known.")] = None,
    ) -> Response:
        del prefer  # read from the request
        applied = await waited(parts, request, own.account_id, job_id)
        return shown(await parts.job(own.account_id, job_id), headers=applied, if_none_match=if_none_match)

    @routes.delete(
        JOB,
        summary="Cancel a job",
        description="A job that waits ends at once, a running one within a second; units of work that was not done are "
        "given back. The job and what it has computed stay. Cancelling twice is the same as once.",
        response_model=JobAnswer,
        responses={202: {"model": JobAnswer, "description": "It is asked to end."}},
    )
    async def cancel_job(own: Own, job_id: uuid.UUID) -> Response:
        status = await store_answer(cancel(engine, own.account_id, job_id), STORE, meanings(job_id))
        if status.live:
            await parts.waker.cancel(job_id)
        await parts.waker.event(own.account_id, job_id)
        detail = await parts.job(own.account_id, job_id)
        return shown(detail, 202 if detail.job.status.live else 200)

    @routes.post(
        JOB + "/retry",
        summary="Do a failed or cancelled job again",
        description="Under the same id, charged anew.",
        status_code=202,
        response_model=JobAnswer,
        responses={202: {"headers": LOCATION}, **refusals(409, 410)},
    )
    async def retry_job(request: Request, own: Own, job_id: uuid.UUID) -> Response:
        await parts.service.retry(caller_of(own), job_id)
        await show_standing(parts, request, own)
        return shown(await parts.job(own.account_id, job_id), 202, location=True)

    @routes.post(
        JOB + "/extend",
        summary="Go on with a job that has succeeded",
        description="Under the same id, from where it ended, for so many paths more; the addition is charged. The bits "
        "are those of one job with all paths. For the kind `montecarlo`.",
        status_code=202,
        response_model=JobAnswer,
        responses={202: {"headers": LOCATION}, **refusals(408, 409, 410, 413, 415)},
        openapi_extra=json_request(ExtendRequest),
    )
    async def extend_job(request: Request, own: Own, job_id: uuid.UUID) -> Response:
        body = await json_body(request, limit=parts.max_body_bytes, seconds=parts.timeout_s)
        wanted = read_form(ExtendRequest, read_object(body, "", SPARE_LISTS))
        await parts.service.extend(caller_of(own), job_id, parts.extensions, wanted.paths)
        await show_standing(parts, request, own)
        return shown(await parts.job(own.account_id, job_id), 202, location=True)

    @routes.get(
        JOB + "/manifest",
        summary="What it takes to run a job again",
        description="Parameters, seeds, digests of data, versions, hashes.",
        response_model=JobManifest,
    )
    async def get_manifest(own: Own, job_id: uuid.UUID) -> Response:
        found = await store_answer(manifest_of(engine, own.account_id, job_id), STORE)
        if found is None:
            raise missing(job_id)
        detail = await parts.job(own.account_id, job_id, inline_bytes=0)
        return answered(manifest(found, detail, await store_answer(result_of(engine, job_id), STORE)))

    @routes.delete(
        JOB + "/data",
        summary="Delete a job's parameters, result and artifacts",
        description="Of a job that has ended. The job itself stays until it expires.",
        status_code=204,
        responses=refusals(409),
    )
    async def delete_job_data(own: Own, job_id: uuid.UUID) -> Response:
        keys = await store_answer(delete_data(engine, own.account_id, job_id), STORE, meanings(job_id))
        await delete_all(parts.objects, keys)
        return Response(status_code=204)
