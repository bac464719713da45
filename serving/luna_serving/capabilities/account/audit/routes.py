"""`GET /api/v1/{account_id}/audit`: who changed the account, its keys, members and models."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.access.authorization import Authorization
from luna_serving.edge.account_scope import AccountRoutes, Owner, needs
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import refusals
from luna_serving.edge.query import Instant
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_store.audit.log import Wanted, page
from luna_store.people.roles import Role

STORE: Final = "The audit log"
DESCRIPTION: Final = (
    "Changes of the account, its keys, members and models: who made them, and the values before and after. The newest "
    "come first. Entries are kept for `LUNA_AUDIT_RETENTION_DAYS` days, and hold no secrets."
)
# Postgres has no NUL in text; other control characters are in no name.
WORD: Final = r"^[^\x00-\x1f\x7f]+$"
BY_TIME: Final[Cursors[tuple[datetime, int]]] = Cursors(
    "audit", tuple[AwareDatetime, Annotated[int, Field(ge=1, lt=2**63, strict=True)]]
)


class AuditEntry(BaseModel):
    """One change."""

    at: datetime
    actor: Annotated[str, Field(description="`user:<id>`, `key:<prefix>`, `operator`, `command:<user>`, ...")]
    action: Annotated[str, Field(examples=["account.limits"])]
    subject: Annotated[str, Field(description="What changed: a name, an email, the prefix of a key.")]
    before: Annotated[dict[str, Any] | None, Field(description="Values that changed; null where there was nothing.")]
    after: Annotated[dict[str, Any] | None, Field(description="Values since; null where there is nothing any more.")]
    request_id: Annotated[str | None, Field(description="X-Request-ID of the request that made the change.")]


class AuditPage(BaseModel):
    """A page of changes."""

    items: list[AuditEntry]
    next_cursor: str | None


def router(authorization: Authorization, engine: AsyncEngine) -> APIRouter:
    """Build the route.

    Args:
        authorization: recognises callers.
        engine: where the log is.
    """
    routes = AccountRoutes(authorization, "audit", tags=["account"], responses=refusals(401, 403, 404, 422, 503))

    @routes.get(
        "/audit",
        summary="Who changed the account, its keys, members and models",
        description=DESCRIPTION,
        openapi_extra=needs(Role.ADMIN),
    )
    async def audit(
        own: Annotated[Owner, Depends(routes.own)],
        since: Annotated[Instant | None, Query(description="Inclusive.")] = None,
        until: Annotated[Instant | None, Query(description="Exclusive.")] = None,
        action: Annotated[
            str | None,
            Query(
                max_length=64, pattern=r"^[a-z]+(\.[-a-z]+)?$", description="`key.revoked`, or `key` for all of keys."
            ),
        ] = None,
        actor: Annotated[str | None, Query(max_length=320, pattern=WORD, description="As in an entry.")] = None,
        subject: Annotated[str | None, Query(max_length=320, pattern=WORD, description="As in an entry.")] = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> AuditPage:
        wanted = Wanted(
            account_id=own.account_id,
            since=since and _utc("/query/since", since),
            until=until and _utc("/query/until", until),
            action=action,
            actor=actor,
            subject=subject,
            after=BY_TIME.read(cursor),
        )
        found = await store_answer(page(engine, wanted, limit=limit + 1), STORE)
        last = found[limit - 1] if len(found) > limit else None
        return AuditPage(
            items=[AuditEntry.model_validate(entry, from_attributes=True) for entry in found[:limit]],
            next_cursor=BY_TIME.write((last.at, last.id)) if last else None,
        )

    return routes


def _utc(pointer: str, instant: datetime) -> datetime:
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError as e:
        raise problems.invalid(problems.FieldError(pointer, "Must lie in the years 1 to 9999, in UTC.")) from e
