"""`/api/v1/{account_id}/keys`: the account's API keys. The routes cost no units."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.access.authorization import Authorization
from luna_serving.access.rebuilding import rebuild_at_once
from luna_serving.capabilities.account.keys.wire import IssuedKey, KeyAnswer, KeyList, KeyRequest
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body, needs
from luna_serving.edge.bodies import header_map
from luna_serving.edge.idempotency import KeyHeader, kept_answer, once, still_under_way
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.operation import Answer
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import read_form
from luna_store.accounts.accounts import AccountNotFound, Accounts, KeyInfo
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.own_keys import MOST_KEYS, KeyNotFound, KeysManaged, OwnKeys, TooManyKeys
from luna_store.people.roles import Role
from luna_store.platform.idempotency import Claim, ClaimLost, IdempotencyKeys

STORE: Final = "The account store"
KEYS: Final = "/keys"
ROUTE: Final = "POST keys"
# One number.
MAX_BODY_BYTES: Final = 1024
TIMEOUT_S: Final = 30.0
HEADERS: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
MEANINGS: Final[Meanings] = {
    AccountNotFound: lambda e: problems.not_found(str(e)),
    ClaimLost: lambda _: still_under_way(),
    KeyNotFound: lambda e: problems.not_found(str(e)),
    KeysManaged: lambda e: problems.managed(
        f"The operator issues the keys of {e.account_name} and keeps them in its Secret. For a new one, set "
        "spec.apiKey.rotationRequestedAt of the Account to the present time."
    ),
    TooManyKeys: lambda _: problems.limit_reached(
        f"An account has at most {MOST_KEYS} valid keys. End one first (DELETE {KEYS}/{{prefix}}), or use a shorter "
        "overlap_s."
    ),
}


class KeyRoutes:
    """The routes, with what they need."""

    def __init__(
        self,
        authorization: Authorization,
        accounts: Accounts,
        own: OwnKeys,
        idempotency_keys: IdempotencyKeys,
        cache: AccountCache,
    ) -> None:
        self._authorization = authorization
        self._accounts = accounts
        self._own = own
        self._idempotency_keys = idempotency_keys
        self._cache = cache

    def router(self) -> APIRouter:
        """Build the router."""
        common = refusals(401, 403, 404, 422, 503)
        routes = AccountRoutes(self._authorization, "keys", tags=["account"], responses=common)
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.get(KEYS, summary="The account's valid keys")
        async def list_keys(owner: Own) -> KeyList:
            info = await store_answer(self._accounts.get(owner.account_id), STORE, MEANINGS)
            return KeyList(items=[KeyAnswer.of(key) for key in info.keys])

        @routes.post(
            KEYS,
            summary="Issue a key that replaces the present ones",
            description="The key is shown in this answer alone. The present keys end after `overlap_s`. The keys of an "
            "account that belongs to an Account resource are issued by the operator.",
            status_code=201,
            response_model=IssuedKey,
            responses=refusals(408, 409, 413, 415),
            openapi_extra={**needs(Role.ADMIN), **json_request(KeyRequest)},
        )
        async def issue_key(request: Request, owner: Own, idempotency_key: KeyHeader = None) -> Response:
            del idempotency_key  # read by `once`
            answer = await self._issued(request, owner)
            return Response(_bytes(answer), answer.status, {n.decode(): v.decode() for n, v in answer.headers})

        @routes.delete(
            KEYS + "/{prefix}",
            summary="End a key now",
            description="Also its access tokens. The operator puts another key into the Secret of an Account resource "
            "within a minute, if the key that ended was in it.",
            status_code=204,
            openapi_extra=needs(Role.ADMIN),
        )
        async def end_key(owner: Own, prefix: str) -> Response:
            await store_answer(
                self._own.revoke(owner.account_id, prefix.replace("\0", ""), owner.actor), STORE, MEANINGS
            )
            await rebuild_at_once(self._cache, owner.account_id)
            return Response(status_code=204)

        return routes

    async def _issued(self, request: Request, owner: Owner) -> Answer:
        body = await json_body(request, limit=MAX_BODY_BYTES, seconds=TIMEOUT_S)
        overlap = timedelta(seconds=read_form(KeyRequest, read_object(body, "", 0)).overlap_s)

        # What is kept of the answer: the key itself is stored nowhere.
        again: list[Answer] = []

        async def create(claim: Claim | None) -> Answer:
            async def keep(connection: AsyncConnection, info: KeyInfo) -> None:
                again.append(_answer(info, None))
                if claim is not None:
                    # In the transaction that issues the key: a call that is sent twice issues one.
                    await self._idempotency_keys.keep(claim, kept_answer(again[0]), connection)

            info, key = await store_answer(
                self._own.issue(owner.account_id, overlap, keep, owner.actor), STORE, MEANINGS
            )
            await rebuild_at_once(self._cache, owner.account_id)
            return _answer(info, key.secret)

        return await once(
            self._idempotency_keys,
            owner.account_id,
            ROUTE,
            header_map(request.scope),
            body,
            create,
            shown_again=lambda _: again[0],
        )


def _answer(info: KeyInfo, secret: str | None) -> Answer:
    shown = IssuedKey(key=secret, **KeyAnswer.of(info).model_dump())
    return Answer(shown.model_dump_json().encode(), 201, HEADERS)


def _bytes(answer: Answer) -> bytes:
    if not isinstance(answer.body, bytes):
        raise TypeError("The answer is not whole.")
    return answer.body
