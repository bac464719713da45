"""`/api/v1/auth/...`: sign-in with a password, refresh, sign-out, and the person's own password."""

from collections.abc import Awaitable
from importlib.resources import files
from typing import Final, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Credential, session_of
from luna_serving.access.people.sign_in import SignedIn, SignIn
from luna_serving.access.people.turns import Turns
from luna_serving.access.throttle.attempts import Attempt, Attempts
from luna_serving.access.throttle.policy import Kind
from luna_serving.capabilities.people.wire import (
    MAX_BODY_BYTES,
    Login,
    Me,
    OwnAccountAnswer,
    PasswordChange,
    PasswordOfLink,
    Refresh,
    SessionAnswer,
    read_body,
    read_email,
)
from luna_serving.edge.account_scope import json_body
from luna_serving.edge.bodies import header_map
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.edge.openapi import SECURITY, json_request, refusals
from luna_serving.edge.query import refuse_unknown_parameters
from luna_serving.edge.recording import note_account, note_credential
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem, SecretRefused
from luna_store.people.memberships import Memberships
from luna_store.people.users import Users

STORE: Final = "The user store"
AUTH: Final = "/api/v1/auth"
TIMEOUT_S: Final = 30.0
# RFC 6749, section 5.1.
NO_STORE: Final = {"cache-control": "no-store"}
PAGE_PATH: Final = "/set-password"
PAGE: Final = (files("luna_serving.capabilities.people") / "set_password.html").read_text()
DELETED: Final = "The user was deleted."

T = TypeVar("T")


class AuthRoutes:
    """The routes, with what they need."""

    def __init__(
        self,
        sign_in: SignIn,
        users: Users,
        memberships: Memberships,
        authorization: Authorization,
        attempts: Attempts,
        proxies: TrustedProxies,
        refused: RefusedCredentials,
    ) -> None:
        self._sign_in = sign_in
        self._users = users
        self._memberships = memberships
        self._authorization = authorization
        self._attempts = attempts
        self._refused = refused
        self._proxies = proxies
        self._turns = Turns()

    def router(self) -> APIRouter:
        """Build the router."""
        routes = APIRouter(prefix=AUTH, tags=["people"], dependencies=[Depends(refuse_unknown_parameters)])
        public = refusals(401, 403, 408, 413, 415, 422, 429, 503)
        routes.add_api_route(
            "/login",
            self.login,
            methods=["POST"],
            summary="Sign in with a password",
            description="Answers the same, after the same time, for an unknown address and a wrong password.",
            responses=public,
            openapi_extra=json_request(Login),
        )
        routes.add_api_route(
            "/refresh",
            self.refresh,
            methods=["POST"],
            summary="The next tokens of a session",
            description="A refresh token works once. One that is used twice ends its session: somebody else has it.",
            responses=public,
            openapi_extra=json_request(Refresh),
        )
        routes.add_api_route(
            "/logout",
            self.logout,
            methods=["POST"],
            status_code=204,
            summary="End a session",
            description="Its access tokens end with it. An unknown token ends nothing (RFC 7009, section 2.2).",
            responses=refusals(408, 413, 415, 422, 429, 503),
            openapi_extra=json_request(Refresh),
        )
        routes.add_api_route(
            "/me",
            self.me,
            methods=["GET"],
            summary="Who calls",
            responses=refusals(401, 403, 422, 429, 503),
            openapi_extra={"security": SECURITY},
        )
        routes.add_api_route(
            "/password",
            self.change_password,
            methods=["POST"],
            status_code=204,
            summary="Change one's own password",
            description="Ends the person's other sessions.",
            responses=public,
            openapi_extra={"security": SECURITY, **json_request(PasswordChange)},
        )
        routes.add_api_route(
            "/password/link",
            self.set_password,
            methods=["POST"],
            status_code=204,
            summary="Set a password with a link",
            description="With the token of a link that `luna user link` made. Ends the person's sessions.",
            responses=public,
            openapi_extra=json_request(PasswordOfLink),
        )
        whole = APIRouter()
        whole.include_router(routes)
        # Beside the API: a person opens it in a browser.
        whole.add_api_route(PAGE_PATH, page, methods=["GET"], include_in_schema=False, response_class=HTMLResponse)
        return whole

    async def login(self, request: Request, response: Response) -> SessionAnswer:
        """POST /login."""
        sent = read_body(Login, await self._body(request))
        email = read_email(sent.email)
        attempt = await self._attempts.begin(Kind.LOGIN, self._address(request), email)
        async with self._turns.of(self._address(request)):
            user = await self._checked(attempt, self._sign_in.identified(email, sent.password))
        return _session(
            request, response, await self._answered(self._sign_in.begin(user, sent.account_id, by="password"))
        )

    async def refresh(self, request: Request, response: Response) -> SessionAnswer:
        """POST /refresh."""
        sent = read_body(Refresh, await self._body(request))
        attempt = await self._attempts.begin(Kind.REFRESH, self._address(request))
        return _session(request, response, await self._checked(attempt, self._sign_in.refresh(sent.refresh_token)))

    async def logout(self, request: Request) -> None:
        """POST /logout."""
        sent = read_body(Refresh, await self._body(request))
        await self._answered(self._sign_in.sign_out(sent.refresh_token))

    async def me(self, request: Request, response: Response) -> Me:
        """GET /me."""
        credential, account_id = await self._recognised(request)
        response.headers.update(NO_STORE)
        if credential.user_id is None:
            return Me(account_id=account_id, role=credential.role.word, key_prefix=credential.key_prefix)
        user = await self._answered(self._users.get(credential.user_id))
        if user is None:
            raise problems.unauthenticated(DELETED)
        return Me(
            account_id=account_id,
            role=credential.role.word,
            user_id=user.id,
            email=user.email,
            has_password=user.password_hash is not None,
            accounts=[
                OwnAccountAnswer(
                    account_id=own.account_id,
                    account_name=own.account_name,
                    display_name=own.display_name,
                    role=own.role.word,
                )
                for own in await self._answered(self._memberships.of_person(user.email))
            ],
        )

    async def change_password(self, request: Request) -> None:
        """POST /password."""
        credential, _ = await self._recognised(request)
        session = session_of(credential)
        if session is None or credential.user_id is None:
            raise Problem("person-needed", 403, "Only a person has a password.", "Sign in: POST /api/v1/auth/login.")
        sent = read_body(PasswordChange, await self._body(request))
        attempt = await self._attempts.begin(Kind.PASSWORD, self._address(request), str(credential.user_id))
        passwords = sent.current_password, sent.new_password
        async with self._turns.of(self._address(request)):
            await self._checked(attempt, self._sign_in.change_password(credential.user_id, session, *passwords))

    async def set_password(self, request: Request) -> None:
        """POST /password/link."""
        sent = read_body(PasswordOfLink, await self._body(request))
        attempt = await self._attempts.begin(Kind.PASSWORD, self._address(request))
        async with self._turns.of(self._address(request)):
            await self._checked(attempt, self._sign_in.set_password(sent.token, sent.new_password))

    async def _recognised(self, request: Request) -> tuple[Credential, int]:
        """The caller, and the account of its credential, which may call.

        Raises:
            Problem: 401 or 503.
            Denied: 403.
        """
        headers = header_map(request.scope)
        credential = self._authorization.read(headers)
        await self._refused.admit(request.scope, headers, credential)
        note_credential(request.scope, credential)
        account_id = await self._authorization.identify(credential)
        note_account(account_id)
        request.state.standing = await self._authorization.standing(credential, account_id, "auth")
        return credential, account_id

    @staticmethod
    async def _body(request: Request) -> bytes:
        return await json_body(request, limit=MAX_BODY_BYTES, seconds=TIMEOUT_S)

    def _address(self, request: Request) -> str:
        return self._proxies.address(request.scope, header_map(request.scope))

    @classmethod
    async def _checked(cls, attempt: Attempt, question: Awaitable[T]) -> T:
        """Run what checks a secret; only a wrong secret counts as a failed attempt."""
        try:
            result = await cls._answered(question)
        except SecretRefused:
            raise
        except Problem:
            await attempt.given_back()
            raise
        await attempt.succeeded()
        return result

    @staticmethod
    async def _answered(question: Awaitable[T]) -> T:
        return await store_answer(question, STORE)


async def page() -> HTMLResponse:
    """The page on which a person sets a password with a link."""
    return HTMLResponse(PAGE)


def _session(request: Request, response: Response, signed_in: SignedIn) -> SessionAnswer:
    # The request log shows a sign-in to the account that it led to.
    note_credential(request.scope, signed_in.credential)
    note_account(signed_in.token.account_id)
    response.headers.update(NO_STORE)
    return SessionAnswer.of(signed_in)
