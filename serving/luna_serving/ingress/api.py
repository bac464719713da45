"""The FastAPI application: every route but the capabilities', and how its errors look."""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.routing import Match

from luna_serving.ingress import problems
from luna_serving.ingress.edge import Operation, problem_response
from luna_serving.ingress.openapi import document
from luna_serving.ingress.problems import FieldError, Problem

log = logging.getLogger("luna.requests")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
DESCRIPTION = "Time-series models over HTTP: authenticated, metered, batched."


def build_api(operations: Sequence[Operation], routers: Sequence[APIRouter]) -> FastAPI:
    """Put the application together; its documentation needs no internet."""
    app: FastAPI = FastAPIOffline(title="Luna", version=version("luna"), description=DESCRIPTION)
    for router in routers:
        app.include_router(router)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, operations)
        return app.openapi_schema

    # FastAPI's own way to extend the document.
    app.openapi = openapi  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal)
    return app


def _respond(problem: Problem, request: Request) -> Response:
    if problem.standing is None:
        problem.standing = getattr(request.state, "standing", None)
    status, headers, body = problem_response(problem)
    return Response(body, status, {n.decode(): v.decode() for n, v in headers})


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  Starlette dispatches by type
    return _respond(error, request)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  Starlette dispatches by type
    wrong = [FieldError("".join(f"/{step}" for step in e["loc"]), f"{e['msg']}.") for e in error.errors()]
    if any(e.pointer == "/path/account_id" for e in wrong):
        return _respond(problems.not_found("An account's id is a whole number above zero."), request)
    return _respond(problems.invalid(*wrong), request)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette dispatches by type
    if error.status_code == 405:
        return _respond(problems.method_not_allowed(", ".join(_methods(request))), request)
    if error.status_code == 404:
        return _respond(problems.not_found(f"Nothing is served at {request.url.path}. See /docs."), request)
    return _respond(Problem("http", error.status_code, str(error.detail), str(error.detail)), request)


def _methods(request: Request) -> list[str]:
    """Those of all routes at this path: Starlette's own answer names only the first route's."""
    asked = {method: {**request.scope, "method": method} for method in METHODS}
    return [m for m, scope in asked.items() if any(r.matches(scope)[0] is Match.FULL for r in request.app.routes)]


async def _internal(request: Request, error: Exception) -> Response:
    log.error("request %s failed", request.headers.get("x-request-id", "-"), exc_info=error)
    return _respond(problems.internal(), request)
