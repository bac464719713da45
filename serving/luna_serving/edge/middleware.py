"""The middleware between uvicorn and Serve in every replica (RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH).

Serve echoes any X-Request-ID, answers deadlines and overload in plain text, and makes two tasks per request to detect
callers that hang up. The middleware replaces invalid ids, leaves deadlines and hang-ups to the edge, and turns errors
of Serve into problems. It puts HAProxy's peer into the scope as the client (`proxy_peer`).
"""

import os
import re
import uuid
from typing import Any

from starlette.middleware import Middleware

from luna_serving.edge import http_protocol, proxy_peer
from luna_serving.edge.asgi import DEADLINE_HEADER
from luna_serving.edge.bodies import ASGIApp, Message, Receive, Scope, Send
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem

SANE_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
SERVE_DEADLINE = b"x-request-timeout-seconds"
SERVE_WATCHES = (b"x-request-disconnect-disabled", b"?1")
INTERNAL = frozenset({DEADLINE_HEADER, SERVE_WATCHES[0], proxy_peer.HEADER})


class ServeErrorsAsProblems:
    """Rewrites the headers of requests, and turns Serve's own errors into problems."""

    def __init__(self, app: ASGIApp, proxy_tokens: tuple[bytes, ...] = ()) -> None:
        """Wrap Serve's application.

        Args:
            app: Serve's.
            proxy_tokens: those with which HAProxy names its peer; without them the scope's client stays.
        """
        self._app = app
        self._proxy_tokens = proxy_tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        peer = proxy_peer.peer(scope["headers"], self._proxy_tokens) if self._proxy_tokens else None
        if peer is not None:
            scope["client"] = (peer, 0)
        scope["headers"] = rewritten(scope["headers"])
        # Serve's errors before an upgrade cannot be rewritten: uvicorn accepts no plain response there.
        await self._app(scope, receive, _Rewriter(send) if scope["type"] == "http" else send)


def rewritten(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that Serve and the edge get."""
    kept = [(name, value) for name, value in headers if name not in INTERNAL and name != b"x-request-id"]
    kept = [(DEADLINE_HEADER if name == SERVE_DEADLINE else name, value) for name, value in kept]
    ids = [value for name, value in headers if name == b"x-request-id" and SANE_ID.fullmatch(value)]
    kept.append((b"x-request-id", ids[0] if ids else uuid.uuid4().hex.encode()))
    kept.append(SERVE_WATCHES)
    return kept


class _Rewriter:
    """Turns a plain-text error of Serve into a problem; everything else passes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._problem: Problem | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._problem = serve_error(message)
            if self._problem is not None:
                message = _head(message, self._problem)
        elif self._problem is not None:
            if message.get("more_body", False):
                return
            message = {"type": "http.response.body", "body": self._problem.body()}
        await self._send(message)


def serve_error(message: Message) -> Problem | None:
    """The problem behind an error that Serve answers by itself; None for an answer of the application."""
    status = message["status"]
    if status < 400 or not _is_plain(message["headers"]):
        return None
    match status:
        case 503:
            return problems.overloaded()
        case 404:
            return problems.not_found("Nothing is served at this path. See /docs.")
        case 408:
            return problems.deadline(0)
        case _:
            return problems.internal() if status >= 500 else None


def _is_plain(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/plain") for name, value in headers)


def _head(message: Message, problem: Problem) -> Message:
    kept = [(n, v) for n, v in message["headers"] if n.lower() not in {b"content-type", b"content-length"}]
    extra = [(n.lower().encode(), v.encode()) for n, v in problem.headers.items()]
    body = [(b"content-type", problems.CONTENT_TYPE), (b"content-length", str(len(problem.body())).encode())]
    return {**message, "status": problem.status, "headers": [*kept, *extra, *body]}


def middlewares() -> list[Any]:
    """The middleware of every replica; Serve calls this before it starts uvicorn."""
    http_protocol.install()
    return [Middleware(ServeErrorsAsProblems, proxy_peer.tokens(os.environ.get("LUNA_PEPPERS", "")))]
