"""The FastAPI application: all routes other than operations, and the rendering of their errors."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from luna_serving.access.denied import Denied
from luna_serving.edge.account_scope import AccountRoute
from luna_serving.edge.bodies import ASGIApp, Disconnected, Message, Receive, Scope, Send, header_map
from luna_serving.edge.event_stream import HEAD
from luna_serving.edge.openapi import document
from luna_serving.edge.operation import Hot
from luna_serving.edge.paths import PREFIX
from luna_serving.edge.problem_answers import problem_response
from luna_serving.edge.security_headers import PagePolicy
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.quota.debits import Standing

log = logging.getLogger("luna.requests")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
StandingOf = Callable[[Scope], Awaitable[Standing | None]]
Counted = Callable[[Scope, dict[bytes, bytes], Problem], Awaitable[Problem]]
DESCRIPTION = "Time-series models over HTTP: authenticated, metered, batched."


def build_api(
    operations: Sequence[Hot], routers: Sequence[APIRouter], standing: StandingOf, counted: Counted
) -> FastAPI:
    """Build the application; its documentation pages work offline.

    Args:
        operations: routes that the edge answers in front of it.
        routers: routes that it answers itself.
        standing: the standing of a request's caller; None if the caller is not recognised.
        counted: the answer to a problem, which counts refused credentials.

    Raises:
        ValueError: a router serves the path of an operation; no call would reach it.
    """
    app: FastAPI = FastAPIOffline(
        title="Luna", version=version("luna"), description=DESCRIPTION, redirect_slashes=False
    )
    for router in routers:
        app.include_router(router)
    prefer_fixed_paths(routers)
    served = {route.path for router in routers for route in router.routes if isinstance(route, Route)}
    hidden = served & {f"{PREFIX}/{operation.path}" for operation in operations}
    if hidden:
        raise ValueError(f"Operations hide routers at {', '.join(sorted(hidden))}.")

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, operations)
        return app.openapi_schema

    # FastAPI's own way to extend the document.
    app.openapi = openapi  # type: ignore[method-assign]

    async def of_caller(request: Request, problem: Problem) -> Response:
        if problem.status < 500 and not hasattr(request.state, "standing"):
            request.state.standing = await standing(request.scope)
        return _respond(problem, request)

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101  Starlette dispatches by type
        return _respond(await counted(request.scope, header_map(request.scope), error), request)

    async def denied(request: Request, error: Exception) -> Response:
        assert isinstance(error, Denied)  # noqa: S101  Starlette dispatches by type
        answer = await counted(request.scope, header_map(request.scope), error.problem)
        return _respond(answer, request, error.standing)

    async def invalid(request: Request, error: Exception) -> Response:
        return await of_caller(request, _invalid(error))

    async def http_error(request: Request, error: Exception) -> Response:
        return await of_caller(request, _http_error(request, error))

    app.add_middleware(PagePolicy)
    app.add_middleware(HeadAsGet)
    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(Denied, denied)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, _internal)
    return app


def prefer_fixed_paths(routers: Sequence[APIRouter]) -> None:
    """Have the routes of accounts leave fixed paths to the routes that serve them; others answer 405 there, not 422."""
    routes = [route for router in routers for route in router.routes if isinstance(route, AccountRoute)]
    fixed = frozenset(route.path.removeprefix(f"{PREFIX}/") for route in routes if route.is_fixed)
    for route in routes:
        route.fixed_paths = fixed


class HeadAsGet:
    """Answers HEAD as GET, without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def head_alone(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET", HEAD: True}
        try:
            await self._app(as_get, receive, head_alone)
        finally:
            if "route" in as_get:
                scope["route"] = as_get["route"]


def _respond(problem: Problem, request: Request, standing: Standing | None = None) -> Response:
    status, headers, body = problem_response(problem, standing or getattr(request.state, "standing", None))
    return Response(body, status, {n.decode(): v.decode() for n, v in headers})


def _invalid(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)  # noqa: S101  Starlette dispatches by type
    wrong = [FieldError("".join(f"/{step}" for step in e["loc"]), _sentence(e["msg"])) for e in error.errors()]
    return problems.invalid(*wrong)


def _sentence(message: str) -> str:
    return f"{message.removeprefix('Value error, ').rstrip('.')}."


def _http_error(request: Request, error: Exception) -> Problem:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette dispatches by type
    if error.status_code == 405:
        return problems.method_not_allowed(", ".join(_methods(request)))
    if error.status_code == 404:
        return problems.not_found(f"Nothing is served at {request.url.path}. See /docs.")
    return Problem("http", error.status_code, str(error.detail), str(error.detail))


def _methods(request: Request) -> list[str]:
    """The methods of all routes at this path; Starlette's answer names those of the first route only."""
    asked = {method: {**request.scope, "method": method} for method in METHODS}
    found = [m for m, scope in asked.items() if any(r.matches(scope)[0] is Match.FULL for r in request.app.routes)]
    return ["GET", "HEAD", *found[1:]] if found[:1] == ["GET"] else found


async def _internal(request: Request, error: Exception) -> Response:
    # Nobody receives the answer to a caller who hung up.
    if not isinstance(error, Disconnected):
        log.error("the request failed", exc_info=error)
    return _respond(problems.internal(), request)
