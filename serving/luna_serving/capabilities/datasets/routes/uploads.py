"""`/upload/start`, `/upload/{dataset_id}`, `/upload/complete`. They cost no units; a validation does."""

import asyncio
from collections.abc import Collection
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.convertors import Convertor, register_url_convertor

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.datasets.routes.answering import answered
from luna_serving.capabilities.datasets.store.records import SetRecord
from luna_serving.capabilities.datasets.uploads.service import Incomplete, Uploads
from luna_serving.capabilities.datasets.wire.answers import complete_json, status_url, upload_json, upload_url, written
from luna_serving.capabilities.datasets.wire.reading import Limits, read_complete, read_id, read_start
from luna_serving.capabilities.datasets.wire.schemas import CompleteAnswer, CompleteRequest, StartRequest, UploadAnswer
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body
from luna_serving.edge.bodies import header_map
from luna_serving.edge.idempotency import REPLAYED, KeyHeader, kept_answer, once, still_under_way
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.operation import Answer
from luna_serving.jobs.service import Caller
from luna_serving.wire.problems import Problem
from luna_store.platform.idempotency import Claim, ClaimLost, IdempotencyKeys

ROUTE: Final = "POST upload/start"
JSON: Final = "application/json"
MOST_COMPLETE_BYTES: Final = 1024
YES: Final = frozenset({"", "1", "true", "yes"})
NO: Final = frozenset({"0", "false", "no"})
Renew = Annotated[
    list[str] | None,
    Query(
        max_length=1000,
        description="Which missing files get fresh URLs: `true` (all, the default), `false` (none), or paths.",
    ),
]


class _Upload(Convertor[str]):
    """Any segment but the names of the other routes, whose `Allow` would otherwise list this one's method."""

    regex = "(?!(?:start|complete)(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("upload", _Upload())


class UploadRoutes:
    """The routes, with what they need."""

    def __init__(
        self,
        authorization: Authorization,
        uploads: Uploads,
        keys: IdempotencyKeys,
        limits: Limits,
        *,
        max_body_bytes: int,
        timeout_s: float,
    ) -> None:
        self._authorization = authorization
        self._uploads = uploads
        self._keys = keys
        self._limits = limits
        self._max_body_bytes = max_body_bytes
        self._timeout_s = timeout_s

    def router(self) -> APIRouter:
        """Build the router."""
        common = refusals(401, 403, 404, 422, 503)
        routes = AccountRoutes(self._authorization, "upload", tags=["datasets"], responses=common)
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.post(
            "/upload/start",
            summary="Start a data set",
            description="Reserves the bytes, and answers the requests that send the files to the object store. A file "
            "whose digest the account has is `present`: nothing is sent.",
            status_code=201,
            response_model=UploadAnswer,
            responses=refusals(408, 409, 413, 415),
            openapi_extra=json_request(StartRequest),
        )
        async def start(request: Request, own: Own, idempotency_key: KeyHeader = None) -> Response:
            del idempotency_key  # read by `once`
            return _response(await self._started(request, own))

        @routes.post(
            "/upload/complete",
            summary="Validate a data set whose files are sent",
            description="Costs one unit, which is given back where the validation fails on our side. May be repeated: "
            "a set is validated once. While files are missing it answers 409 with `missing` and fresh URLs.",
            status_code=202,
            response_model=CompleteAnswer,
            responses=refusals(408, 409, 413, 415),
            openapi_extra=json_request(CompleteRequest),
        )
        async def complete(request: Request, own: Own) -> Response:
            body = await json_body(request, limit=MOST_COMPLETE_BYTES, seconds=self._timeout_s)
            caller = Caller(own.account_id, own.credential, own.standing.limits)
            outcome = await answered(self._uploads.complete(caller, read_complete(body)))
            if isinstance(outcome, Incomplete):
                raise incomplete(outcome)
            return Response(written(complete_json(outcome)), 202, {"Location": status_url(outcome)}, JSON)

        @routes.get(
            "/upload/{dataset_id:upload}",
            summary="Resume an upload",
            description="What has arrived, and the requests that send the rest.",
            response_model=UploadAnswer,
        )
        async def resume(own: Own, dataset_id: str, renew: Renew = None) -> Response:
            wanted = self._uploads.resume(own.account_id, read_id(dataset_id, "/path/dataset_id"), signed_of(renew))
            record, files = await answered(wanted)
            return Response(written(upload_json(record, files)), 200, media_type=JSON)

        return routes

    async def _started(self, request: Request, own: Owner) -> Answer:
        body = await json_body(request, limit=self._max_body_bytes, seconds=self._timeout_s)
        new = await asyncio.to_thread(read_start, own.account_id, body, self._limits)
        await answered(self._uploads.require_store())

        async def create(claim: Claim | None) -> Answer:
            async def keep(connection: AsyncConnection, record: SetRecord) -> None:
                if claim is not None:
                    # In the transaction that creates the set: a call that is sent twice creates one.
                    await self._keys.keep(claim, kept_answer(_kept(record)), connection)

            record, files = await answered(self._uploads.start(new, keep, own.actor))
            return _answer(record, written(upload_json(record, files)))

        try:
            answer = await once(
                self._keys, own.account_id, ROUTE, header_map(request.scope), body, create, shown_again=_shown_again
            )
        except ClaimLost as e:
            raise still_under_way() from e
        if REPLAYED not in answer.headers:
            return answer
        # The URLs of the first answer have expired by now, or will soon.
        dataset_id = read_id(orjson.loads(_bytes(answer))["dataset_id"], "")
        record, files = await answered(self._uploads.resume(own.account_id, dataset_id, None))
        fresh = _answer(record, written(upload_json(record, files)))
        return Answer(fresh.body, fresh.status, [*fresh.headers, REPLAYED])


def signed_of(renew: list[str] | None) -> Collection[str] | None:
    """The paths that get URLs; None for all that are missing."""
    if renew is None or any(each.lower() in YES for each in renew):
        return None
    return {each for each in renew if each.lower() not in NO}


def incomplete(outcome: Incomplete) -> Problem:
    """409: files are missing."""
    count = len(outcome.missing)
    return Problem(
        "upload-incomplete",
        409,
        "Files are missing.",
        f"{count} of {outcome.record.file_count} files of {outcome.record.reference} are missing or not whole. Send "
        "them to the URLs in `missing`, then complete again.",
        extra={
            "dataset_id": str(outcome.record.id),
            "state": outcome.record.state.value,
            "missing": outcome.missing,
        },
    )


def _answer(record: SetRecord, body: bytes) -> Answer:
    location = (b"location", upload_url(record).encode())
    return Answer(body, 201, [(b"content-type", JSON.encode()), location])


def _kept(record: SetRecord) -> Answer:
    return _answer(record, written({"dataset_id": record.id}))


def _shown_again(answer: Answer) -> Answer:
    dataset_id = orjson.loads(_bytes(answer))["dataset_id"]
    return Answer(written({"dataset_id": dataset_id}), answer.status, answer.headers)


def _bytes(answer: Answer) -> bytes:
    if not isinstance(answer.body, bytes):
        raise TypeError("The answer is not whole.")
    return answer.body


def _response(answer: Answer) -> Response:
    return Response(_bytes(answer), answer.status, {n.decode(): v.decode() for n, v in answer.headers})
