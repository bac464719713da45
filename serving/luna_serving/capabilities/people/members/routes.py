"""`/api/v1/{account_id}/members`: who may use the account, and as what. The routes cost no units."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from luna_serving.access.authorization import Authorization
from luna_serving.access.rebuilding import rebuild_at_once
from luna_serving.capabilities.people.members.wire import MemberAnswer, MemberPage, RoleSent
from luna_serving.capabilities.people.wire import read_body, read_email
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body, needs
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.paths import PREFIX
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.cache import AccountCache
from luna_store.people.memberships import Memberships, Source
from luna_store.people.own_members import (
    MOST_MEMBERS,
    LastAdmin,
    MemberManaged,
    MemberNotFound,
    OwnMembers,
    TooManyMembers,
)
from luna_store.people.roles import Role

STORE: Final = "The user store"
MEMBERS: Final = "/members"
# An address may hold a slash (RFC 5322, section 3.2.3), which servers decode before routes are matched.
MEMBER: Final = MEMBERS + "/{email:path}"
# A role is a word.
MAX_BODY_BYTES: Final = 1024
TIMEOUT_S: Final = 30.0
BY_EMAIL: Final[Cursors[str]] = Cursors("members", Annotated[str, Field(max_length=320, strict=True)])
CURES: Final[Mapping[Source, str]] = {
    Source.RESOURCE: "edit spec.members of the Account",
    Source.COMMAND: "use `luna user remove-from`",
    Source.PROVIDER: "change the person's groups at the OpenID provider",
}
MEANINGS: Final[Meanings] = {
    AccountNotFound: lambda e: problems.not_found(str(e)),
    MemberNotFound: lambda e: problems.not_found(str(e)),
    MemberManaged: lambda e: problems.managed(
        f"The role of {e.member.email} was not given over HTTP. To take it back, {_cures(e.member.sources)}."
    ),
    LastAdmin: lambda _: last_admin(),
    TooManyMembers: lambda _: problems.limit_reached(
        f"An account has at most {MOST_MEMBERS} members and invitations. Remove one: DELETE {MEMBERS}/{{email}}."
    ),
}


def last_admin() -> Problem:
    """409: nobody would be left who can keep the account's members."""
    return Problem(
        "last-admin",
        409,
        "The account would have no admin.",
        "No other admin of the account can sign in. Make another user an admin first: PUT /members/{email} with "
        '{"role": "admin"}. The team that runs Luna can remove the last one.',
    )


def router(authorization: Authorization, memberships: Memberships, own: OwnMembers, cache: AccountCache) -> APIRouter:
    """Build the routes.

    Args:
        authorization: recognises callers.
        memberships: reads members.
        own: changes them.
        cache: makes a change take effect at once.
    """
    routes = AccountRoutes(authorization, "members", tags=["people"], responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

    @routes.get(MEMBERS, summary="The account's members and invitations")
    async def list_members(owner: Own, limit: Limit = PAGE, cursor: Cursor = None) -> MemberPage:
        after = BY_EMAIL.read(cursor) or ""
        # Postgres keeps no NUL in a text, and no address has one.
        question = memberships.of_account(owner.account_id, after=after.replace("\0", ""), limit=limit + 1)
        found = await store_answer(question, STORE, MEANINGS)
        more = len(found) > limit
        return MemberPage(
            items=[MemberAnswer.of(member) for member in found[:limit]],
            next_cursor=BY_EMAIL.write(found[limit - 1].email) if more else None,
        )

    @routes.put(
        MEMBER,
        summary="Give an address a role",
        description="An address that no user has is an invitation. The greatest role of all sources counts, so the "
        "answer's `role` may be greater than the one sent: `sources` says who gave it.",
        response_model=MemberAnswer,
        responses={
            201: {"model": MemberAnswer, "description": "The address was no member before."},
            **refusals(408, 409, 413, 415),
        },
        openapi_extra={**needs(Role.ADMIN), **json_request(RoleSent)},
    )
    async def put_member(request: Request, response: Response, owner: Own, email: str) -> MemberAnswer:
        address = read_email(email, "/path/email")
        sent = read_body(RoleSent, await json_body(request, limit=MAX_BODY_BYTES, seconds=TIMEOUT_S))
        member, is_new = await store_answer(
            own.put(owner.account_id, address, Role.of(sent.role), owner.actor), STORE, MEANINGS
        )
        await rebuild_at_once(cache, owner.account_id)
        if is_new:
            response.status_code = 201
            response.headers["location"] = f"{PREFIX}/{owner.account_id}{MEMBERS}/{quote(member.email, safe='@')}"
        return MemberAnswer.of(member)

    @routes.delete(
        MEMBER,
        summary="Take back the role that admins gave an address",
        description="A role from another source stays, and its source alone takes it back. A person without any role "
        "is signed out of the account within seconds.",
        status_code=204,
        responses=refusals(409),
        openapi_extra=needs(Role.ADMIN),
    )
    async def remove_member(owner: Own, email: str) -> Response:
        address = read_email(email, "/path/email")
        await store_answer(own.remove(owner.account_id, address, owner.actor), STORE, MEANINGS)
        await rebuild_at_once(cache, owner.account_id)
        return Response(status_code=204)

    return routes


def _cures(sources: Iterable[Source]) -> str:
    return ", and ".join(CURES[source] for source in sources)
