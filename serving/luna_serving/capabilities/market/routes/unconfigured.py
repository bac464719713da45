"""The routes of an installation without an object store: every call answers 503, and the rest of Luna goes on."""

from typing import Annotated, NoReturn

from fastapi import APIRouter, Depends

from luna_serving.access.authorization import Authorization
from luna_serving.edge.account_scope import AccountRoutes, Owner
from luna_serving.edge.openapi import refusals
from luna_serving.wire import problems


def router(authorization: Authorization) -> APIRouter:
    """Build the routes."""
    routes = AccountRoutes(authorization, "market", tags=["market"], responses=refusals(401, 403, 404, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    async def unavailable(own: Own) -> NoReturn:
        del own  # recognised before: an unknown caller learns nothing
        raise problems.dependencies_gone("The object store")

    for path in ("/symbols", "/symbols/{rest:path}", "/prices"):
        routes.add_api_route(path, unavailable, methods=["GET"], response_model=None, include_in_schema=False)
    return routes
