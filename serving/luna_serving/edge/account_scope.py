"""The kit of FastAPI routes that belong to an account.

    routes = AccountRoutes(authorization, "models", responses=refusals(401, 403, 404, 422, 503))
    Own = Annotated[Owner, Depends(routes.own)]

    @routes.get("/models")
    async def list_models(own: Own) -> ModelPage: ...

serves `/api/v1/{account_id}/models` and `/api/v1/models`, for the account of the credential; documents both; refuses
query parameters that the route does not take; and puts the RateLimit headers on every answer.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Match
from starlette.types import Scope

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Credential
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.edge.bodies import Disconnected, coding_of, header_map, read_in_time, require_json, unpacked
from luna_serving.edge.openapi import ACCOUNT, GRANT, KEYS, LEAST, SECURITY, refusals
from luna_serving.edge.paths import ACCOUNT_PATH, PREFIX
from luna_serving.edge.query import refuse_unknown_parameters
from luna_serving.edge.recording import note_account, note_credential
from luna_serving.wire import problems
from luna_store.accounts.tables import MAX_ACCOUNT_ID
from luna_store.audit.actors import Actor
from luna_store.people.roles import Role
from luna_store.quota.debits import Grant, Standing

# The path of the credential's own account; with an id it is `/api/v1/{account_id}`.
ITSELF: Final = "/account"
READING: Final = frozenset({"GET", "HEAD"})


class _AccountId(Convertor[str]):
    """Digits only, so that `/api/v1/usage` is not the path of an account."""

    regex = "[0-9]{1,10}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("account", _AccountId())


@dataclass(frozen=True, slots=True)
class Owner:
    """A caller that was recognised as the account of the route."""

    account_id: int
    standing: Standing
    credential: Credential
    actor: Actor
    """Who the audit log names for changes that the request makes; see `luna_store.audit.actors.acting_as`."""


class AccountRoute(APIRoute):
    """Adds the RateLimit headers to an answer; errors get them when they are rendered.

    A caller who hangs up while its body is read gets none: handlers leave `Disconnected` to their route.
    """

    fixed_paths: frozenset[str] = frozenset()
    """Paths without parameters that the application serves beside this route, relative to an account's."""

    @property
    def is_fixed(self) -> bool:
        """Whether the path has no parameter but the account."""
        return self.param_convertors.keys() <= {"account_id"}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request. A fixed path precedes a template, whatever its methods: it is the value of no parameter."""
        match, child_scope = super().matches(scope)
        if match is not Match.NONE and not self.is_fixed:
            found = ACCOUNT_PATH.fullmatch(scope["path"])
            if found is not None and found[2] in self.fixed_paths:
                return Match.NONE, {}
        return match, child_scope

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                response = await handle(request)
            except Disconnected:
                # Nobody receives it; the request log shows it, as nginx's does.
                return Response(status_code=499)
            response.headers.update({n.decode(): v.decode() for n, v in ratelimit_headers(request.state.standing)})
            return response

        return handled


class AccountRoutes(APIRouter):
    """Routes below an account's path, for its owner only; a route that needs the owner depends on `own`."""

    def __init__(self, authorization: Authorization, label: str, **options: Any) -> None:  # noqa: ANN401  APIRouter's
        """Make a router.

        Args:
            authorization: recognises callers.
            label: the route's name in debits.
            options: of APIRouter.
        """
        options["responses"] = refusals(401, 429) | options.get("responses", {})
        # For every route, so that none answers an unknown caller; FastAPI caches it for routes that take the owner.
        super().__init__(route_class=AccountRoute, dependencies=[Depends(self.own)], **options)
        self._authorization = authorization
        self._label = label

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401  APIRouter's
        """Add a route at both of its paths.

        Args:
            path: relative to the account's; empty for the account itself.
            endpoint: FastAPI's.
            options: FastAPI's. `openapi_extra=needs(role)` names the role, and the grant, that the route needs; without
                it reading needs a viewer, everything else a member, and both no grant.
        """
        reads = set(options.get("methods") or ["GET"]) <= READING
        extra = {
            "security": SECURITY,
            **needs(Role.VIEWER if reads else Role.MEMBER),
            **(options.pop("openapi_extra", None) or {}),
        }
        parameters = [ACCOUNT, *extra.get("parameters", ())]
        super().add_api_route(PREFIX + (path or ITSELF), endpoint, openapi_extra=extra, **options)
        super().add_api_route(
            f"{PREFIX}/{{account_id:account}}{path}",
            endpoint,
            openapi_extra={**extra, "parameters": parameters},
            **options,
        )

    async def own(self, request: Request) -> Owner:
        """Recognise the caller, which must be the account in the path if there is one.

        Raises:
            Problem: 401, 403, 404, 503; 422 for a query parameter that the route does not take.
        """
        headers = header_map(request.scope)
        credential = self._authorization.read(headers)
        note_credential(request.scope, credential)
        named = request.path_params.get("account_id")
        in_range = named is not None and 0 < int(named) <= MAX_ACCOUNT_ID
        account_id = int(named) if named is not None and in_range else await self._authorization.identify(credential)
        note_account(account_id)
        grant = _grant(request)
        standing = await self._authorization.standing(credential, account_id, self._label, grant)
        request.state.standing = standing
        if named is not None and not in_range:
            raise problems.not_found(f"There is no account {named}.")
        self._authorization.require(credential, _least(request, credential))
        refuse_unknown_parameters(request)
        return Owner(account_id, standing, credential, actor_of(credential, headers))


def actor_of(credential: Credential, headers: dict[bytes, bytes]) -> Actor:
    """Who makes the changes of a request, for the audit log."""
    named = headers.get(b"x-request-id", b"").decode("latin-1")
    if credential.user_id is not None:
        return Actor.user(credential.user_id, named)
    return Actor.key(credential.key_prefix, named)


def needs(least: Role, *, keys: bool = False, grant: Grant | None = None) -> dict[str, Any]:
    """The `openapi_extra` of a route that needs a role.

    Args:
        least: of people.
        keys: whether API keys may call it besides, whatever the role that they act as.
        grant: that the account needs besides.
    """
    return {LEAST: least.word, **({KEYS: True} if keys else {}), **({GRANT: asdict(grant)} if grant else {})}


def _grant(request: Request) -> Grant | None:
    written = request.scope["route"].openapi_extra.get(GRANT)
    return Grant(**written) if written else None


def _least(request: Request, credential: Credential) -> Role:
    # The document says what is enforced: it has the only copy.
    extra = request.scope["route"].openapi_extra
    if credential.user_id is None and extra.get(KEYS, False):
        return credential.role
    return Role.of(extra[LEAST])


async def json_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """The body of a request, decompressed; not parsed.

    Raises:
        Problem: 408, it did not arrive within `seconds`; 413, it has more than `limit` bytes; 415, it is not JSON.
        Disconnected: the caller hung up.
    """
    headers = header_map(request.scope)
    require_json(headers)
    body = await read_in_time(headers, request.receive, limit, seconds)
    coding = coding_of(headers)
    return await asyncio.to_thread(unpacked, body, coding, limit) if coding else body
