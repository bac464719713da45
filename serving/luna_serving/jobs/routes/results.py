"""`GET /jobs/{id}/result` and `GET /jobs/{id}/artifacts/{name}`."""

import asyncio
import uuid
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Header, Response
from fastapi.responses import StreamingResponse

from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.openapi import refusals
from luna_serving.edge.store_answers import store_answer
from luna_serving.jobs.routes.answers import TAG
from luna_serving.jobs.routes.parts import STORE, JobParts, data_deleted, is_live
from luna_serving.jobs.routes.stored import OBJECTS, stream_of, whole
from luna_serving.jobs.routes.tables import FORMS, NoTable, table_of
from luna_serving.jobs.routes.wire import matches
from luna_serving.wire import problems
from luna_serving.wire.columnar import written
from luna_serving.wire.problems import Problem
from luna_serving.wire.tabular import JSON, acceptable
from luna_store.jobs.reading import JobDetail, StoredResult, artifact_of, result_of

# Results up to this size are turned into a table on the event loop.
ASIDE_BYTES: Final = 64 * 1024
LONGEST_NAME: Final = 255
# A report is the caller's: a browser shows its text, tables and drawings, and runs nothing of it.
SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
SHOWN_AS_PAGES: Final = ("text/html", "image/svg+xml", "application/xhtml+xml")
BINARY: Final = {form: {"schema": {"type": "string", "format": "binary"}} for form in FORMS[1:]}
FILES: Final = {
    form: {"schema": {"type": "string"}}
    for form in ("text/html", "image/svg+xml", "image/png", "text/csv", "application/octet-stream")
}
NOT_MODIFIED: Final = {"description": "If-None-Match names it."}
GONE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"headers": TAG, "content": {JSON: {"schema": {}}, **BINARY}},
    304: NOT_MODIFIED,
    **refusals(406, 409, 410),
}
IfNoneMatch = Annotated[str | None, Header(description="Entity tags that are known.")]


def add(routes: AccountRoutes, parts: JobParts) -> None:
    """Add the routes."""
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(
        "/jobs/{job_id}/result",
        summary="The result of a job",
        description="As JSON; by `Accept` as an Arrow stream or as Parquet, where it is a list `results` of objects: "
        "one row each, nested members as columns such as `estimates.obs_var`, and what else it holds in the "
        "metadata `luna.result`. A cancelled job's result is what it had computed.",
        response_class=Response,
        responses=GONE,
    )
    async def get_result(
        own: Own,
        job_id: uuid.UUID,
        accept: Annotated[str, Header(description=f"Of {', '.join(FORMS)}.")] = "*/*",
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        form = acceptable(accept, FORMS)
        result = await _result(parts, own.account_id, job_id)
        # The result never changes, and neither does what is made of it.
        tag = result.sha256[:32] if form == JSON else f"{result.sha256[:32]}-{form.rpartition('.')[2]}"
        headers = {"ETag": f'"{tag}"', "Vary": "Accept"}
        if matches(if_none_match, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if form == JSON and result.object_key is not None:
            head, chunks = await stream_of(parts.objects, result.object_key)
            return StreamingResponse(chunks, 200, {**headers, "Content-Length": str(head.bytes)}, form)
        body = await whole(parts.objects, result)
        return Response(body if form == JSON else await _as_table(body, form), 200, headers, form)

    @routes.get(
        "/jobs/{job_id}/artifacts/{name}",
        summary="A file that a job made",
        response_class=Response,
        responses={
            200: {"headers": TAG, "content": FILES},
            304: NOT_MODIFIED,
            307: {"description": "It is in the object store: Location is a URL that is valid for minutes."},
            **refusals(410),
        },
    )
    async def get_artifact(own: Own, job_id: uuid.UUID, name: str, if_none_match: IfNoneMatch = None) -> Response:
        detail = await parts.job(own.account_id, job_id, inline_bytes=0)
        _check_kept(detail)
        # Postgres refuses NUL in text.
        plain = name.replace("\0", "")[: LONGEST_NAME + 1]
        found = await store_answer(artifact_of(parts.engine, own.account_id, job_id, plain), STORE)
        if found is None:
            names = ", ".join(each.name for each in detail.artifacts) or "none"
            raise problems.not_found(f"The job has no artifact of this name. It has: {names}.")
        entry, body = found
        headers = {
            "ETag": f'"{entry.sha256[:32]}"',
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(entry.name, safe='')}",
        }
        if matches(if_none_match, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if body is None:
            if parts.objects is None or entry.object_key is None:
                raise problems.dependencies_gone(OBJECTS)
            presigned = parts.objects.presigned_get(entry.object_key, entry.name, entry.media_type)
            # Not the headers above: the URL ends in minutes.
            return Response(status_code=307, headers={"Location": presigned.url})
        if entry.media_type.split(";")[0].strip().lower() in SHOWN_AS_PAGES:
            headers["Content-Security-Policy"] = SANDBOX
        return Response(body, 200, headers, entry.media_type)


async def _result(parts: JobParts, account_id: int, job_id: uuid.UUID) -> StoredResult:
    detail = await parts.job(account_id, job_id, inline_bytes=0)
    if detail.job.status.live:
        raise is_live()
    _check_kept(detail)
    found = await store_answer(result_of(parts.engine, job_id), STORE)
    if found is None:
        why = "" if detail.job.error is None else f" {detail.job.error.get('title', '')}"
        raise problems.not_found(f"The job ended without a result: {detail.job.status}.{why}")
    return found


def _check_kept(detail: JobDetail) -> None:
    if detail.job.data_deleted_at is not None:
        raise data_deleted()


async def _as_table(result: bytes, form: str) -> bytes:
    try:
        if len(result) > ASIDE_BYTES:
            return await asyncio.to_thread(lambda: written(table_of(result), form))
        return written(table_of(result), form)
    except NoTable as e:
        raise no_table() from e


def no_table() -> Problem:
    """406: the result has no rows."""
    return Problem(
        "not-acceptable",
        406,
        "None of the accepted forms is offered.",
        f"This result is not a table: it has no list `results` of objects. Accept {JSON}.",
    )
