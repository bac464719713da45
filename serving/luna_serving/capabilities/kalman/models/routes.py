"""`/api/v1/{account_id}/models`: named models, versioned. They cost no units; using one costs what its call costs."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from luna_serving.access.authorization import Authorization
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.capabilities.kalman.models.documents import (
    entity_tag,
    expectation,
    read_document,
    render,
    versions_of,
)
from luna_serving.capabilities.kalman.models.schemas import (
    EXAMPLE_MODEL,
    ModelPage,
    ModelVersion,
    StoredModel,
    VersionPage,
)
from luna_serving.capabilities.kalman.store.models import (
    MAX_VERSION,
    NAME,
    ModelChanged,
    ModelLimitReached,
    ModelNotFound,
    Models,
    VersionInfo,
)
from luna_serving.capabilities.kalman.wire.kind_schemas import Model
from luna_serving.dispatch.deadline import answer_within
from luna_serving.edge.bodies import Disconnected, coding_of, header_map, read_body, require_json, unpacked
from luna_serving.edge.openapi import REFERENCE, SECURITY, problem_responses
from luna_serving.edge.query import refuse_unknown_parameters
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.accounts.accounts import AccountNotFound
from luna_store.platform.postgres import ANSWER_S

JSON = "application/json"
MODELS = "/api/v1/{account_id}/models"
MODEL = MODELS + "/{name}"
PAGE, LONGEST_PAGE = 100, 1000
WRONG_NAME = "Must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at each end."
IF_MATCH = "Entity tags (versions in quotes) of which one must be the latest; * wants any."
BODY = TypeAdapter(Model).json_schema(ref_template=REFERENCE)
BODY.pop("$defs")
PUT = {
    "security": SECURITY,
    "requestBody": {"required": True, "content": {JSON: {"schema": BODY, "example": EXAMPLE_MODEL}}},
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owner:
    """A caller who was recognised as the account in the path."""

    account_id: int
    headers: dict[str, str]
    """Of every answer to the caller."""


def router(authorization: Authorization, models: Models, *, max_bytes: int, timeout_s: float) -> APIRouter:
    """Build the routes.

    Args:
        authorization: who may.
        models: where they are kept.
        max_bytes: of one model's document.
        timeout_s: seconds that a body has to arrive.
    """
    routes = APIRouter(tags=["models"], responses=_refusals(401, 403, 404, 422, 503))

    async def own(request: Request, account_id: Annotated[int, Path(ge=1, lt=2**31)]) -> Owner:
        standing = await authorization.standing(authorization.read(header_map(request.scope)), account_id, "models")
        request.state.standing = standing
        if not NAME.fullmatch(request.path_params.get("name", "none")):
            raise problems.invalid(FieldError("/path/name", WRONG_NAME))
        refuse_unknown_parameters(request)
        return Owner(account_id, {n.decode(): v.decode() for n, v in ratelimit_headers(standing)})

    Own = Annotated[Owner, Depends(own)]  # noqa: N806  a type
    IfMatch = Annotated[list[str] | None, Header(description=IF_MATCH)]  # noqa: N806  a type

    @routes.put(
        MODEL,
        summary="Store a model under a name",
        description="A changed model becomes the next version; an unchanged one changes nothing.",
        openapi_extra=PUT,
        response_model=StoredModel,
        responses={
            201: {"model": StoredModel, "description": "The first of this name."},
            **_refusals(409, 412, 413, 415),
        },
    )
    async def put_model(
        request: Request,
        own: Own,
        name: str,
        if_match: IfMatch = None,
        if_none_match: Annotated[list[str] | None, Header(description="* puts only where there is none.")] = None,
    ) -> Response:
        expected = expectation(if_match, if_none_match)
        try:
            document = read_document(await _body(request, max_bytes, timeout_s), name)
        except Disconnected:
            return Response(status_code=499)
        stored, is_new = await _asked(models.put(own.account_id, name, document.kind, document.text, expected))
        headers = own.headers | {"ETag": entity_tag(stored.info.version)}
        if is_new:
            headers["Location"] = MODEL.format(account_id=own.account_id, name=name)
        return Response(render(stored), 201 if is_new else 200, headers, JSON)

    @routes.get(
        MODEL,
        summary="A named model",
        openapi_extra={"security": SECURITY},
        response_model=StoredModel,
        responses={304: {"description": "If-None-Match names this version."}},
    )
    async def get_model(
        own: Own,
        name: str,
        version: Annotated[int | None, Query(ge=1, le=MAX_VERSION, description="Default: the latest.")] = None,
        if_none_match: Annotated[list[str] | None, Header(description="Versions in quotes that are known.")] = None,
    ) -> Response:
        stored = await _asked(models.get(own.account_id, name, version))
        headers = own.headers | {"ETag": entity_tag(stored.info.version)}
        if stored.info.version in versions_of(",".join(if_none_match or ()), weak=True):
            return Response(status_code=304, headers=headers)
        return Response(render(stored), 200, headers, JSON)

    @routes.get(MODEL + "/versions", summary="The versions of a named model", openapi_extra={"security": SECURITY})
    async def get_versions(
        response: Response,
        own: Own,
        name: str,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = PAGE,
        before: Annotated[int, Query(ge=1, le=MAX_VERSION, description="Only versions below this one.")] = MAX_VERSION,
    ) -> VersionPage:
        response.headers.update(own.headers)
        found = await _asked(models.versions(own.account_id, name, limit=limit + 1, before=before))
        if not found and before == MAX_VERSION:
            raise problems.not_found(str(ModelNotFound(name, None)))
        shown = [_shown(info) for info in found[:limit]]
        return VersionPage(versions=shown, next_before=shown[-1].version if len(found) > limit else None)

    @routes.get(MODELS, summary="The account's named models", openapi_extra={"security": SECURITY})
    async def list_models(
        response: Response,
        own: Own,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = PAGE,
        after: Annotated[str, Query(max_length=63, pattern="^[-a-z0-9]*$", description="Only names behind this.")] = "",
    ) -> ModelPage:
        response.headers.update(own.headers)
        found = await _asked(models.page(own.account_id, limit=limit + 1, after=after))
        shown = [_shown(info) for info in found[:limit]]
        return ModelPage(models=shown, next_after=shown[-1].name if len(found) > limit else None)

    @routes.delete(
        MODEL,
        summary="Delete a named model",
        description="All its versions. Their numbers are not given again to a later model of this name.",
        openapi_extra={"security": SECURITY},
        status_code=204,
        responses=_refusals(412),
    )
    async def delete_model(own: Own, name: str, if_match: IfMatch = None) -> Response:
        await _asked(models.delete(own.account_id, name, expectation(if_match, None)))
        return Response(status_code=204, headers=own.headers)

    return routes


async def _body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    headers = header_map(request.scope)
    require_json(headers)
    try:
        async with asyncio.timeout(timeout_s):
            body = await read_body(headers, request.receive, max_bytes)
    except TimeoutError as e:
        raise problems.slow_body(timeout_s) from e
    coding = coding_of(headers)
    return await asyncio.to_thread(unpacked, body, coding, max_bytes) if coding else body


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {int(status): answer for status, answer in problem_responses(statuses).items()}


def _shown(info: VersionInfo) -> ModelVersion:
    return ModelVersion(name=info.name, version=info.version, kind=info.kind, created_at=info.created_at)


async def _asked(question: Coroutine[Any, Any, T]) -> T:
    """An answer of the store.

    Raises:
        Problem: 404, 409, 412 or 503.
    """
    try:
        return await answer_within(ANSWER_S, question)
    except (ModelNotFound, AccountNotFound) as e:
        raise problems.not_found(str(e)) from e
    except ModelChanged as e:
        raise problems.precondition_failed(f"{e} Read it and decide again.") from e
    except ModelLimitReached as e:
        raise problems.limit_reached(str(e)) from e
    except (SQLAlchemyError, OSError, TimeoutError) as e:
        raise problems.dependencies_gone("The model store") from e
