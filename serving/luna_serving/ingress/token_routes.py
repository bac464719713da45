"""`POST /api/v1/auth/token`: OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from luna_serving.ingress import problems
from luna_serving.ingress.callers import Callers
from luna_serving.ingress.credentials import Authenticator
from luna_serving.ingress.limits import ratelimit_headers
from luna_serving.ingress.problems import Problem
from luna_serving.ingress.tokens import Token, Tokens

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
# A form of three short fields.
MAX_FORM_BYTES = 4096


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  the scheme's name
    expires_in: int


def oauth_error(code: str, detail: str, status: int = 400) -> Problem:
    """RFC 6749, section 5.2, as a problem: OAuth clients read `error`, the others `type`."""
    if status == 401:
        problem = problems.unauthenticated(detail)
        problem.extra = {"error": code, "error_description": detail}
        return problem
    extra = {"error": code, "error_description": detail}
    return Problem("token-request", status, "The token request is not valid.", detail, extra=extra)


async def form(request: Request) -> dict[str, str]:
    """The urlencoded body, with HTTP Basic credentials as client id and secret.

    Raises:
        Problem: 400, 413 or 415.

    """
    content_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if content_type != FORM:
        problem = problems.unsupported_media_type(content_type)
        problem.detail = f"Send the body with Content-Type: {FORM}."
        raise problem
    body = await request.body()
    if len(body) > MAX_FORM_BYTES:
        raise problems.too_large(MAX_FORM_BYTES)
    try:
        fields = {name: values[-1] for name, values in parse_qs(body.decode("ascii")).items()}
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            client_id, _, client_secret = base64.b64decode(basic, validate=True).decode("ascii").partition(":")
            fields |= {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(client_secret)}
    except (ValueError, binascii.Error) as e:
        raise oauth_error("invalid_request", "The form or the Basic credentials cannot be decoded.") from e
    return fields


def router(authenticator: Authenticator, callers: Callers, tokens: Tokens) -> APIRouter:
    """Build the route."""
    routes = APIRouter(tags=["account"])

    @routes.post("/api/v1/auth/token", summary="A token for an API key", openapi_extra={"requestBody": FORM_SCHEMA})
    async def token(response: Response, fields: Annotated[dict[str, Any], Depends(form)]) -> TokenAnswer:
        if fields.get("grant_type") != "client_credentials":
            raise oauth_error("unsupported_grant_type", "grant_type must be client_credentials.")
        if not fields.get("client_id") or not fields.get("client_secret"):
            raise oauth_error("invalid_request", "client_id (the account's id) and client_secret (its key) are needed.")
        wrong = "client_id is no account's id, or client_secret is not its key."
        try:
            credential = authenticator.of_key(fields["client_secret"])
            owner = await callers.identify(credential)
        except Problem as problem:
            raise problem if problem.status != 401 else oauth_error("invalid_client", wrong, 401) from problem
        if fields["client_id"] != str(owner):
            raise oauth_error("invalid_client", wrong, 401)
        # Suspended and expired accounts get no token either.
        standing = await callers.standing(credential, owner, "auth/token")
        response.headers.update({n.decode(): v.decode() for n, v in ratelimit_headers(standing)})
        # RFC 6749, section 5.1.
        response.headers["cache-control"] = "no-store"
        return TokenAnswer(access_token=tokens.issue(Token(owner, credential.key_prefix)), expires_in=tokens.lifetime_s)

    return routes
