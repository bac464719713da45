"""`/symbols`: the instruments that an account sees. Costs no units."""

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.capabilities.market.grants import refusal
from luna_serving.capabilities.market.wire.request import LONGEST_SYMBOL, instant
from luna_serving.capabilities.market.wire.schemas import Action, Symbol, SymbolDetail, SymbolPage
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import refusals
from luna_serving.prices.stored import answered, instrument_of
from luna_serving.wire import problems
from luna_serving.wire.pointers import cut
from luna_serving.wire.problems import FieldError
from luna_store.prices import reading
from luna_store.prices.reading import Filter, Seen

JSON: Final = "application/json"
ROUTE: Final = "symbols"
BY_SYMBOL: Final[Cursors[str]] = Cursors(ROUTE, Annotated[str, Query(max_length=LONGEST_SYMBOL)])

Text = Annotated[str | None, Query(min_length=1, max_length=LONGEST_SYMBOL)]
AsOf = Annotated[
    str | None, Query(description="As the market stood then: a date, which means its end, or a date and time.")
]


def router(authorization: Authorization, charges: Charges, engine: AsyncEngine) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        charges: tells whether an account may read the server's market.
        engine: where the rows are.
    """
    routes = AccountRoutes(authorization, ROUTE, tags=["market"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    async def seen(own: Owner, as_of: str | None) -> Seen:
        refused = await refusal(charges, own.account_id, own.credential, ROUTE)
        try:
            then = None if as_of is None else instant(as_of, "as_of", until=True)
        except ValueError as error:
            raise problems.invalid(FieldError("/query/as_of", str(error))) from error
        return Seen(own.account_id, then, server=refused is None)

    @routes.get(
        "/symbols",
        summary="The instruments that the account sees",
        description="By symbol: the server's, if `allowed.market` names `server`, and those of the account's own data "
        "sets of type `ohlcv`, which come in the place of the server's of the same symbol.",
        response_model=SymbolPage,
    )
    async def list_symbols(
        own: Own,
        query: Annotated[Text, Query(description="Part of the symbol or name, whatever the case.")] = None,
        exchange: Text = None,
        type: Text = None,  # noqa: A002  the parameter's name
        as_of: AsOf = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Response:
        which = Filter(_stored(query), _stored(exchange), _stored(type))
        after = BY_SYMBOL.read(cursor) or ""
        rows = await answered(reading.page(engine, await seen(own, as_of), which, _stored(after) or "", limit + 1))
        items = [Symbol.members(instrument_of(row)) for row in rows[:limit]]
        more = BY_SYMBOL.write(rows[limit - 1].symbol) if len(rows) > limit else None
        return Response(orjson.dumps({"items": items, "next_cursor": more}), media_type=JSON)

    @routes.get("/symbols/{symbol:path}", summary="An instrument", response_model=SymbolDetail)
    async def get_symbol(own: Own, symbol: str, as_of: AsOf = None) -> Response:
        row = await answered(reading.one(engine, await seen(own, as_of), _stored(symbol) or ""))
        if row is None:
            upper = _stored(symbol.upper()) or ""
            meant = upper != symbol and await answered(reading.one(engine, await seen(own, as_of), upper))
            hint = f" Did you mean {upper!r}?" if meant else ""
            shown = cut(symbol, LONGEST_SYMBOL)
            raise problems.not_found(f"There is no symbol {shown!r}.{hint} GET /symbols lists them.")
        instrument = instrument_of(row)
        actions = [Action.of(each).model_dump(mode="json", exclude_none=True) for each in instrument.actions]
        return Response(orjson.dumps({**Symbol.members(instrument), "corporate_actions": actions}), media_type=JSON)

    return routes


def _stored(text: str | None) -> str | None:
    # Postgres has no NUL in text; no symbol has one either.
    return None if text is None else text.replace("\0", "\ufffd")
