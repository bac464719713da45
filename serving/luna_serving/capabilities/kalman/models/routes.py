"""`/api/v1/{account_id}/models`: named models, versioned. The routes cost no units."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import Field, TypeAdapter

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.kalman.models.documents import (
    TAGS,
    read_document,
    render,
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
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit, one_start
from luna_serving.edge.openapi import REFERENCE, refusals
from luna_serving.edge.paths import PREFIX
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.accounts.accounts import AccountNotFound

JSON = "application/json"
MODELS = "/models"
MODEL = MODELS + "/{name}"
WRONG_NAME = "Must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at each end."
IF_MATCH = "Entity tags (versions in quotes) of which one must be the latest; * wants any."
BODY = TypeAdapter(Model).json_schema(ref_template=REFERENCE)
BODY.pop("$defs")
PUT = {"requestBody": {"required": True, "content": {JSON: {"schema": BODY, "example": EXAMPLE_MODEL}}}}
MODELS_BY_NAME: Final[Cursors[str]] = Cursors(
    "models", Annotated[str, Field(max_length=63, pattern="^[-a-z0-9]*$", strict=True)]
)
VERSIONS_BY_NUMBER: Final[Cursors[int]] = Cursors("versions", Annotated[int, Field(ge=1, le=MAX_VERSION, strict=True)])
STORE: Final = "The model store"
MEANINGS: Final[Meanings] = {
    ModelNotFound: lambda e: problems.not_found(str(e)),
    AccountNotFound: lambda e: problems.not_found(str(e)),
    ModelChanged: lambda e: problems.precondition_failed(f"{e} Read it and decide again."),
    ModelLimitReached: lambda e: problems.limit_reached(str(e)),
}


def router(authorization: Authorization, models: Models, *, max_bytes: int, timeout_s: float) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        models: the store.
        max_bytes: most bytes of one model's document.
        timeout_s: seconds that a body has to arrive.
    """
    routes = AccountRoutes(authorization, "models", tags=["models"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    async def of_model(own: Own, name: str) -> Owner:
        if not NAME.fullmatch(name):
            raise problems.invalid(FieldError("/path/name", WRONG_NAME))
        return own

    OwnModel = Annotated[Owner, Depends(of_model)]  # noqa: N806  a type
    IfMatch = Annotated[list[str] | None, Header(description=IF_MATCH)]  # noqa: N806  a type

    @routes.put(
        MODEL,
        summary="Store a model under a name",
        description="A changed model becomes the next version; an unchanged one changes nothing.",
        openapi_extra=PUT,
        response_model=StoredModel,
        responses={
            201: {"model": StoredModel, "description": "The first of this name."},
            **refusals(408, 409, 412, 413, 415),
        },
    )
    async def put_model(
        request: Request,
        own: OwnModel,
        name: str,
        if_match: IfMatch = None,
        if_none_match: Annotated[list[str] | None, Header(description="* puts only where there is none.")] = None,
    ) -> Response:
        expected = TAGS.conditions(if_match, if_none_match)
        document = read_document(await json_body(request, limit=max_bytes, seconds=timeout_s), name)
        stored, is_new = await store_answer(
            models.put(own.account_id, name, document.kind, document.text, expected, own.actor), STORE, MEANINGS
        )
        headers = {"ETag": TAGS.of(stored.info.version)}
        if is_new:
            headers["Location"] = f"{PREFIX}/{own.account_id}{MODEL.format(name=name)}"
        return Response(render(stored), 201 if is_new else 200, headers, JSON)

    @routes.get(
        MODEL,
        summary="A named model",
        response_model=StoredModel,
        responses={304: {"description": "If-None-Match names this version."}},
    )
    async def get_model(
        own: OwnModel,
        name: str,
        version: Annotated[int | None, Query(ge=1, le=MAX_VERSION, description="Default: the latest.")] = None,
        if_none_match: Annotated[list[str] | None, Header(description="Versions in quotes that are known.")] = None,
    ) -> Response:
        stored = await store_answer(models.get(own.account_id, name, version), STORE, MEANINGS)
        headers = {"ETag": TAGS.of(stored.info.version)}
        if stored.info.version in TAGS.named(",".join(if_none_match or ()), weak=True):
            return Response(status_code=304, headers=headers)
        return Response(render(stored), 200, headers, JSON)

    @routes.get(MODEL + "/versions", summary="The versions of a named model")
    async def get_versions(
        own: OwnModel,
        name: str,
        limit: Limit = PAGE,
        before: Annotated[int | None, Query(ge=1, le=MAX_VERSION, description="Only versions below this one.")] = None,
        cursor: Cursor = None,
    ) -> VersionPage:
        begin = one_start(VERSIONS_BY_NUMBER.read(cursor), before, "before") or MAX_VERSION
        question = models.versions(own.account_id, name, limit=limit + 1, before=begin)
        found = await store_answer(question, STORE, MEANINGS)
        if not found and begin == MAX_VERSION:
            raise problems.not_found(str(ModelNotFound(name, None)))
        shown = [_shown(info) for info in found[:limit]]
        last = shown[-1].version if len(found) > limit else None
        return VersionPage(
            versions=shown, next_cursor=VERSIONS_BY_NUMBER.write(last) if last is not None else None, next_before=last
        )

    @routes.get(MODELS, summary="The account's named models")
    async def list_models(
        own: Own,
        limit: Limit = PAGE,
        after: Annotated[
            str | None, Query(max_length=63, pattern="^[-a-z0-9]*$", description="Only names behind this.")
        ] = None,
        cursor: Cursor = None,
    ) -> ModelPage:
        begin = one_start(MODELS_BY_NAME.read(cursor), after, "after") or ""
        found = await store_answer(models.page(own.account_id, limit=limit + 1, after=begin), STORE, MEANINGS)
        shown = [_shown(info) for info in found[:limit]]
        last = shown[-1].name if len(found) > limit else None
        return ModelPage(
            models=shown, next_cursor=MODELS_BY_NAME.write(last) if last is not None else None, next_after=last
        )

    @routes.delete(
        MODEL,
        summary="Delete a named model",
        description="All its versions. Their numbers are not given again to a later model of this name.",
        status_code=204,
        responses=refusals(412),
    )
    async def delete_model(own: OwnModel, name: str, if_match: IfMatch = None) -> Response:
        expected = TAGS.conditions(if_match, None)
        await store_answer(models.delete(own.account_id, name, expected, own.actor), STORE, MEANINGS)
        return Response(status_code=204)

    return routes


def _shown(info: VersionInfo) -> ModelVersion:
    return ModelVersion(name=info.name, version=info.version, kind=info.kind, created_at=info.created_at)
