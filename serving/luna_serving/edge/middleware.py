"""The middleware between uvicorn and Serve in every replica (RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH).

Serve echoes any X-Request-ID, answers deadlines and overload in plain text, and makes two tasks per request to detect
callers that hang up. The middleware replaces invalid ids, leaves deadlines and hang-ups to the edge, turns errors
of Serve into problems, and puts the security headers on every answer. It puts HAProxy's peer into the scope as the
client, and HAProxy's id of the call beside it (`proxy_peer`). HTTP requests go to the application without Serve's
wrapper where that is possible (`serve_replica`).
"""

import os
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.middleware import Middleware

from luna_serving.edge import http_protocol, proxy_peer, socket_protocol
from luna_serving.edge.bodies import ASGIApp, Message, Receive, Scope, Send
from luna_serving.edge.cors import readable_by
from luna_serving.edge.deadline_header import DEADLINE_HEADER
from luna_serving.edge.security_headers import secured
from luna_serving.edge.serve_replica import SERVES_OWN, ServeReplica, replica_behind
from luna_serving.settings import read_settings
from luna_serving.settings.cors import CorsSettings
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem

SANE_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
SERVE_DEADLINE = b"x-request-timeout-seconds"
SERVE_WATCHES = (b"x-request-disconnect-disabled", b"?1")
REQUEST_ID = b"x-request-id"
# Those from DEADLINE_HEADER on are internal: a caller's are dropped.
CHANGED = frozenset(
    {SERVE_DEADLINE, REQUEST_ID, DEADLINE_HEADER, SERVE_WATCHES[0], proxy_peer.HEADER, proxy_peer.CALL_HEADER}
)


class ServeErrorsAsProblems:
    """Rewrites the headers of requests and answers, and turns Serve's own errors into problems."""

    def __init__(
        self,
        app: ASGIApp,
        proxy_tokens: tuple[bytes, ...] = (),
        cors: CorsSettings | None = None,
        replica_of: Callable[[ASGIApp], ServeReplica | None] = lambda _: None,
    ) -> None:
        """Wrap Serve's application.

        Args:
            app: Serve's.
            proxy_tokens: those with which HAProxy names its peer; without them the scope's client stays.
            cors: which pages may read Serve's own errors; answers of the edge have their headers already.
            replica_of: finds the replica that requests go to without Serve's wrapper; None where there is none.
        """
        self._app = app
        self._proxy_tokens = proxy_tokens
        self._cors = cors or CorsSettings()
        self._replica = replica_of(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        peer = proxy_peer.peer(scope["headers"], self._proxy_tokens) if self._proxy_tokens else None
        if peer is not None:
            scope["client"] = (peer, 0)
            scope[proxy_peer.CALL_KEY] = proxy_peer.call(scope["headers"])
        headers = scope["headers"] = rewritten(scope["headers"])
        replica = self._replica
        if (
            replica is not None
            and scope["type"] == "http"
            and not scope["path"].startswith(SERVES_OWN)
            and replica.has_slot
        ):
            await replica(scope, receive, _Headed(send, headers[-1]))
            return
        # Serve's errors before an upgrade cannot be rewritten: uvicorn accepts no plain response there.
        rewriter = _Rewriter(send, scope, self._cors) if scope["type"] == "http" else send
        await self._app(scope, receive, rewriter)


def rewritten(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers that Serve and the edge get; the last one is the request's id."""
    kept = []
    request_id = b""
    for header in headers:
        name, value = header
        if name not in CHANGED:
            kept.append(header)
        elif name == SERVE_DEADLINE:
            kept.append((DEADLINE_HEADER, value))
        elif name == REQUEST_ID and not request_id and SANE_ID.fullmatch(value):
            request_id = value
    kept.append(SERVE_WATCHES)
    kept.append((REQUEST_ID, request_id or uuid.uuid4().hex.encode()))
    return kept


class _Headed:
    """Puts the request's id, as Serve does, and the security headers on an answer of the application."""

    __slots__ = ("_request_id", "_send")

    def __init__(self, send: Send, request_id: tuple[bytes, bytes]) -> None:
        self._send = send
        self._request_id = request_id

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = [*secured(message["headers"]), self._request_id]
        return self._send(message)


class _Rewriter:
    """Turns a plain-text error of Serve into a problem; everything else passes, with the security headers."""

    def __init__(self, send: Send, scope: Scope, cors: CorsSettings) -> None:
        self._send = send
        self._scope = scope
        self._cors = cors
        self._problem: Problem | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._problem = serve_error(message)
            if self._problem is not None:
                origin = dict(self._scope["headers"]).get(b"origin")
                message = _head(message, self._problem, readable_by(origin, self._cors))
            message["headers"] = secured(message["headers"])
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


def _head(message: Message, problem: Problem, readable: list[tuple[bytes, bytes]]) -> Message:
    kept = [(n, v) for n, v in message["headers"] if n.lower() not in {b"content-type", b"content-length"}]
    extra = [(n.lower().encode(), v.encode()) for n, v in problem.headers.items()]
    body = [(b"content-type", problems.CONTENT_TYPE), (b"content-length", str(len(problem.body())).encode())]
    return {**message, "status": problem.status, "headers": [*kept, *extra, *readable, *body]}


def middlewares() -> list[Any]:
    """The middleware of every replica; Serve calls this before it starts uvicorn."""
    http_protocol.install()
    socket_protocol.install()
    tokens = proxy_peer.tokens(os.environ.get("LUNA_PEPPERS", ""))
    # Serve does not pass the application's settings: here they are those of the environment.
    return [Middleware(ServeErrorsAsProblems, tokens, read_settings({}).platform.cors, replica_behind)]
