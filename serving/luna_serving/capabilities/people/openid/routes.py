"""`/api/v1/auth/providers` and `/api/v1/auth/oidc/...`: sign-in through OpenID providers."""

from collections.abc import Awaitable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response

from luna_serving.access.people.openid.flow import Callback, OpenIdFlow
from luna_serving.access.people.openid.pending import LIFETIME_S, TooManyStarts
from luna_serving.access.people.sign_in import SignIn
from luna_serving.access.throttle.attempts import Attempts
from luna_serving.access.throttle.policy import Kind, block_of
from luna_serving.capabilities.people.openid.wire import (
    COOKIE,
    REDIRECT,
    ProviderAnswer,
    ProvidersAnswer,
    cookie_header,
)
from luna_serving.capabilities.people.wire import SessionAnswer
from luna_serving.edge.bodies import header_map
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.edge.openapi import refusals
from luna_serving.edge.query import refuse_unknown_parameters
from luna_serving.edge.recording import note_account, note_credential
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.accounts.tables import MAX_ACCOUNT_ID

AUTH: Final = "/api/v1/auth"
STORE: Final = "The user store"
# RFC 6749, section 5.1; and no page that is opened from here learns the code.
PRIVATE: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
# RFC 6749, appendix A, has no bounds; codes of some providers are JWTs.
Short = Annotated[str | None, Query(max_length=512)]
Code = Annotated[str | None, Query(max_length=8192, description="Works once.")]
State = Annotated[str, Query(min_length=1, max_length=128, description="Of the sign-in that this browser began.")]
AccountId = Annotated[
    int | None, Query(ge=1, le=MAX_ACCOUNT_ID, description="Needed only by a member of several accounts.")
]

T = TypeVar("T")


class OpenIdRoutes:
    """The routes, with what they need."""

    def __init__(
        self, flow: OpenIdFlow, sign_in: SignIn, attempts: Attempts, proxies: TrustedProxies, public_url: str
    ) -> None:
        self._flow = flow
        self._sign_in = sign_in
        self._attempts = attempts
        self._proxies = proxies
        self._public_url = public_url
        self._secure = public_url.startswith("https:")

    def router(self) -> APIRouter:
        """Build the router."""
        routes = APIRouter(prefix=AUTH, tags=["people"])
        strict = [Depends(refuse_unknown_parameters)]
        routes.add_api_route(
            "/providers",
            self.providers,
            methods=["GET"],
            summary="The OpenID providers",
            dependencies=strict,
            responses=refusals(422),
        )
        routes.add_api_route(
            "/oidc/{provider}",
            self.begin,
            methods=["GET"],
            status_code=302,
            response_class=Response,
            summary="Sign in through a provider",
            description="For a browser: it is sent to the provider, and from there to the callback.",
            dependencies=strict,
            responses=REDIRECT | refusals(404, 422, 429, 503),
        )
        routes.add_api_route(
            "/oidc/{provider}/callback",
            self.finish,
            methods=["GET"],
            summary="Finish a sign-in through a provider",
            description="The provider sends the browser here, with parameters of its own, too. Needs the cookie that "
            f"the sign-in began with. {COOKIE} A callback that another browser began is refused with 403: nobody can "
            "sign somebody else in as themselves.",
            responses=refusals(403, 404, 422, 429, 503),
        )
        return routes

    async def providers(self) -> ProvidersAnswer:
        """GET /providers."""
        return ProvidersAnswer(
            providers=[
                ProviderAnswer(name=name, label=each.label or name, login_url=f"{self._public_url}{AUTH}/oidc/{name}")
                for name, each in self._flow.settings.items()
            ]
        )

    async def begin(self, request: Request, provider: str, account_id: AccountId = None) -> Response:
        """GET /oidc/{provider}."""
        address = block_of(self._address(request))
        metadata = await self._flow.reached(provider)
        try:
            begun = await self._answered(self._flow.begin(provider, metadata, account_id, address))
        except TooManyStarts as e:
            raise problems.too_many_attempts(LIFETIME_S // 2) from e
        cookie = cookie_header(begun.cookie_name, begun.cookie, secure=self._secure)
        return Response(status_code=302, headers={"location": begun.location, "set-cookie": cookie, **PRIVATE})

    async def finish(
        self,
        request: Request,
        response: Response,
        provider: str,
        state: State,
        code: Code = None,
        error: Short = None,
        iss: Short = None,
    ) -> SessionAnswer:
        """GET /oidc/{provider}/callback."""
        callback = Callback(state, code, error, iss, request.cookies)
        attempt = await self._attempts.begin(Kind.PROVIDER, self._address(request))
        try:
            pending = await self._answered(self._flow.taken(provider, callback))
            presented = await self._flow.presented(provider, callback, pending)
        except Problem as problem:
            if problem.status >= 500:
                await attempt.given_back()
            raise
        await attempt.succeeded()
        named = request.headers.get("x-request-id", "")
        recognised = await self._answered(self._flow.recognised(provider, presented, named))
        await self._sign_in.take_effect(recognised.stale)
        session = self._sign_in.begin(recognised.user, pending.account_id, by=provider)
        signed_in = await self._answered(session)
        # For the request log.
        note_credential(request.scope, signed_in.credential)
        note_account(signed_in.token.account_id)
        gone = cookie_header(self._flow.cookie_name(state), "", secure=self._secure)
        response.headers.update({"set-cookie": gone, **PRIVATE})
        return SessionAnswer.of(signed_in)

    def _address(self, request: Request) -> str:
        return self._proxies.address(request.scope, header_map(request.scope))

    @staticmethod
    async def _answered(question: Awaitable[T]) -> T:
        return await store_answer(question, STORE)
