"""`POST /api/v1/auth/token`: OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Authenticator
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.access.tokens import Token, Tokens
from luna_serving.edge.bodies import Disconnected, header_map, read_in_time
from luna_serving.edge.openapi import refusals
from luna_serving.edge.query import refuse_unknown_parameters
from luna_serving.edge.recording import note_credential
from luna_serving.wire import problems
from luna_serving.wire.problems import REALM, Problem

FORM = "application/x-www-form-urlencoded"
FORM_SCHEMA = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": ["client_credentials"]},
                    "client_id": {"type": "string", "description": "The account's id."},
                    "client_secret": {"type": "string", "description": "An API key of the account."},
                },
            }
        }
    },
}
# Bytes of a form with three short fields.
MAX_FORM_BYTES = 4096
# Seconds that it has to arrive.
FORM_S = 30.0


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  the scheme's name
    expires_in: int


@dataclass(frozen=True, slots=True)
class Form:
    """A token request; a missing or empty parameter is an empty string."""

    grant_type: str
    client_id: str
    client_secret: str
    basic: bool
    """Whether the client authenticated by HTTP Basic."""


def oauth_error(code: str, detail: str) -> Problem:
    """RFC 6749, section 5.2, as a problem: OAuth clients read `error`, the others `type`."""
    extra = {"error": code, "error_description": detail}
    return Problem("token-request", 400, "The token request is not valid.", detail, extra=extra)


def invalid_client(*, basic: bool) -> Problem:
    """401, with a Basic challenge if the client used HTTP Basic (RFC 6749, section 5.2)."""
    detail = "client_id is not the id of an account, or client_secret is not its key."
    problem = problems.unauthenticated(detail)
    challenges = f"Basic {REALM}, {problem.headers['WWW-Authenticate']}"
    headers = {**problem.headers, "WWW-Authenticate": challenges} if basic else problem.headers
    return replace(problem, headers=headers, extra={"error": "invalid_client", "error_description": detail})


async def form(request: Request) -> Form:
    """The urlencoded body, with HTTP Basic credentials as client id and secret.

    Raises:
        Problem: 400, 408, 413 or 415.
    """
    content_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if content_type != FORM:
        problem = problems.unsupported_media_type(content_type)
        raise replace(problem, detail=f"Send the body with Content-Type: {FORM}.")
    try:
        body = await read_in_time(header_map(request.scope), request.receive, MAX_FORM_BYTES, FORM_S)
    except Disconnected as e:
        raise oauth_error("invalid_request", "The body ended before it was whole.") from e
    try:
        # RFC 6749, section 3.2: a parameter without a value counts as omitted, and none may be repeated.
        sent = parse_qsl(body.decode("ascii"))
        fields = dict(sent)
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        basic = scheme.lower() == "basic"
        if basic:
            client_id, _, client_secret = base64.b64decode(credentials, validate=True).decode("ascii").partition(":")
            fields |= {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(client_secret)}
    except (ValueError, binascii.Error) as e:
        raise oauth_error("invalid_request", "The form or the Basic credentials cannot be decoded.") from e
    if len({name for name, _ in sent}) < len(sent):
        raise oauth_error("invalid_request", "Each parameter may be sent once.")
    return Form(fields.get("grant_type", ""), fields.get("client_id", ""), fields.get("client_secret", ""), basic)


def router(
    authenticator: Authenticator, authorization: Authorization, tokens: Tokens, admit: Callable[..., Awaitable[None]]
) -> APIRouter:
    """Build the route.

    Args:
        authenticator: parses keys.
        authorization: recognises them.
        tokens: issues tokens.
        admit: refuses unknown keys of blocked addresses, see `RefusedCredentials.admit`.
    """
    routes = APIRouter(tags=["account"])

    @routes.post(
        "/api/v1/auth/token",
        summary="A token for an API key",
        openapi_extra={"requestBody": FORM_SCHEMA},
        responses=refusals(400, 401, 403, 408, 413, 415, 422, 429, 503),
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    async def token(request: Request, response: Response, sent: Annotated[Form, Depends(form)]) -> TokenAnswer:
        if not sent.grant_type:
            raise oauth_error("invalid_request", "grant_type is needed: client_credentials.")
        if sent.grant_type != "client_credentials":
            raise oauth_error("unsupported_grant_type", "grant_type must be client_credentials.")
        if not sent.client_id or not sent.client_secret:
            raise oauth_error("invalid_request", "client_id (the account's id) and client_secret (its key) are needed.")
        try:
            credential = authenticator.of_key(sent.client_secret)
            note_credential(request.scope, credential)
            await admit(request.scope, header_map(request.scope), credential)
            owner = await authorization.identify(credential)
        except Problem as problem:
            raise problem if problem.status != 401 else invalid_client(basic=sent.basic) from problem
        if sent.client_id != str(owner):
            raise invalid_client(basic=sent.basic)
        # Suspended and expired accounts get no token.
        standing = await authorization.standing(credential, owner, "auth/token")
        response.headers.update({n.decode(): v.decode() for n, v in ratelimit_headers(standing)})
        # RFC 6749, section 5.1.
        response.headers["cache-control"] = "no-store"
        return TokenAnswer(access_token=tokens.issue(Token(owner, credential.key_prefix)), expires_in=tokens.lifetime_s)

    return routes
