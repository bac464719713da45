"""`/api/v1/{account_id}/indicators/custom`: an account's own indicators. The routes cost no units."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.capabilities.indicators.custom.documents import (
    TAGS,
    read_expression,
    shown,
)
from luna_serving.capabilities.indicators.custom.schemas import CustomIndicatorAnswer, PutIndicator
from luna_serving.capabilities.indicators.store.custom import (
    CustomIndicators,
    IndicatorChanged,
    IndicatorLimitReached,
    IndicatorNotFound,
    StoredIndicator,
)
from luna_serving.capabilities.indicators.wire.formulas import CAPABILITY, NAME, WRONG_NAME, grants_of
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.paths import PREFIX
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.accounts.accounts import AccountNotFound
from luna_store.quota.debits import Grant

LIST: Final = "/indicators/custom"
ONE: Final = LIST + "/{name}"
STORE: Final = "The store of indicators"
MAX_BYTES: Final = 64 * 1024
IF_MATCH: Final = "Entity tags of which one must be the stored indicator's; * wants any."
MEANINGS: Final[Meanings] = {
    IndicatorNotFound: lambda e: problems.not_found(str(e)),
    AccountNotFound: lambda e: problems.not_found(str(e)),
    IndicatorChanged: lambda e: problems.precondition_failed(f"{e} Read it and decide again."),
    IndicatorLimitReached: lambda e: problems.limit_reached(str(e)),
}


def router(authorization: Authorization, charges: Charges, custom: CustomIndicators, *, timeout_s: float) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        charges: asks for grants.
        custom: the store.
        timeout_s: seconds that a body has to arrive.
    """
    routes = AccountRoutes(authorization, LIST[1:], tags=[CAPABILITY], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    async def of_indicator(own: Own, name: str) -> Owner:
        if not NAME.fullmatch(name):
            raise problems.invalid(FieldError("/path/name", WRONG_NAME))
        return own

    OwnIndicator = Annotated[Owner, Depends(of_indicator)]  # noqa: N806  a type
    IfMatch = Annotated[list[str] | None, Header(description=IF_MATCH)]  # noqa: N806  a type

    @routes.put(
        ONE,
        summary="Keep an expression as an indicator",
        description="Called as `custom:<name>`. Each indicator in it must be granted to the account.",
        openapi_extra=json_request(PutIndicator),
        response_model=CustomIndicatorAnswer,
        responses={
            201: {"model": CustomIndicatorAnswer, "description": "The first of this name."},
            **refusals(408, 409, 412, 413, 415),
        },
    )
    async def put_indicator(
        request: Request,
        own: OwnIndicator,
        name: str,
        if_match: IfMatch = None,
        if_none_match: Annotated[list[str] | None, Header(description="* puts only where there is none.")] = None,
    ) -> Response:
        expected = TAGS.conditions(if_match, if_none_match)
        text, expression = read_expression(await json_body(request, limit=MAX_BYTES, seconds=timeout_s))
        await _require(charges, own, grants_of(expression))
        stored, is_new = await store_answer(
            custom.put(own.account_id, name, text, expected, own.actor), STORE, MEANINGS
        )
        headers = {}
        if is_new:
            headers["Location"] = f"{PREFIX}/{own.account_id}{ONE.format(name=name)}"
        return _answer(stored, 201 if is_new else 200, headers)

    @routes.get(
        ONE,
        summary="A custom indicator",
        response_model=CustomIndicatorAnswer,
        responses={304: {"description": "If-None-Match names it."}},
    )
    async def get_indicator(
        own: OwnIndicator,
        name: str,
        if_none_match: Annotated[list[str] | None, Header(description="Entity tags that are known.")] = None,
    ) -> Response:
        stored = await store_answer(custom.get(own.account_id, name), STORE, MEANINGS)
        if stored.revision in TAGS.named(",".join(if_none_match or ()), weak=True):
            return Response(status_code=304, headers={"ETag": TAGS.of(stored.revision)})
        return _answer(stored, 200, {})

    @routes.delete(ONE, summary="Delete a custom indicator", status_code=204, responses=refusals(412))
    async def delete_indicator(own: OwnIndicator, name: str, if_match: IfMatch = None) -> Response:
        expected = TAGS.conditions(if_match, None)
        await store_answer(custom.delete(own.account_id, name, expected, own.actor), STORE, MEANINGS)
        return Response(status_code=204)

    return routes


async def _require(charges: Charges, own: Owner, names: Sequence[str]) -> None:
    """Refuse an expression with an indicator that the account may not use.

    Raises:
        Denied: 403; it names the first.
        Problem: 503.
    """
    nothing = Charge.nothing(own.credential, own.account_id, LIST[1:])
    for name in names:
        debit = replace(nothing.debit, debit_id=uuid.uuid4(), grant=Grant(CAPABILITY, name))
        await charges.take(replace(nothing, debit=debit))


def _answer(stored: StoredIndicator, status: int, headers: dict[str, str]) -> Response:
    body = shown(stored).model_dump_json()
    return Response(body, status, headers | {"ETag": TAGS.of(stored.revision)}, "application/json")
