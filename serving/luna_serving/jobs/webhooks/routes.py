"""`/api/v1/{account_id}/webhooks/secret`: the secret that signs the account's webhooks. The routes cost no units."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.edge.account_scope import AccountRoutes, Owner, needs
from luna_serving.edge.openapi import refusals
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_store.jobs.webhook_secrets import SigningSecrets, rotate, secrets_of
from luna_store.people.roles import Role

STORE: Final = "The webhook store"
SECRET: Final = "/webhooks/secret"  # noqa: S105  a path
MEANINGS: Final[Meanings] = {
    IntegrityError: lambda _: problems.not_found("There is no such account any more."),
    LookupError: lambda e: problems.not_found(str(e)),
}


class SecretAnswer(BaseModel):
    """The secrets that sign the account's messages."""

    secret: str = Field(description="`whsec_` and base64, as the libraries of Standard Webhooks take it.")
    rotated_at: datetime = Field(description="When it was made.")
    previous_valid_until: datetime | None = Field(
        description="Until then the former secret signs beside it; null if there is none."
    )

    @classmethod
    def of(cls, found: SigningSecrets) -> "SecretAnswer":
        """Of the store's."""
        return cls(secret=found.secret, rotated_at=found.rotated_at, previous_valid_until=found.previous_until)


def router(authorization: Authorization, engine: AsyncEngine) -> APIRouter:
    """Build the router."""
    routes = AccountRoutes(authorization, "webhooks", tags=["jobs"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(
        SECRET,
        summary="The secret that signs the account's webhooks",
        description="Made when it is first asked for or needed. Verify messages with a library of Standard Webhooks.",
        openapi_extra=needs(Role.ADMIN),
    )
    async def secret(owner: Own, response: Response) -> SecretAnswer:
        response.headers["Cache-Control"] = "no-store"
        return SecretAnswer.of(await store_answer(secrets_of(engine, owner.account_id), STORE, MEANINGS))

    @routes.post(
        f"{SECRET}/rotate",
        summary="Replace the secret that signs webhooks",
        description="The former secret signs beside the new one for a day: messages carry both signatures.",
        openapi_extra=needs(Role.ADMIN),
    )
    async def rotate_secret(owner: Own, response: Response) -> SecretAnswer:
        response.headers["Cache-Control"] = "no-store"
        return SecretAnswer.of(await store_answer(rotate(engine, owner.account_id, owner.actor), STORE, MEANINGS))

    return routes
