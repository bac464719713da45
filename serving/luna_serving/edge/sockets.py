"""WebSockets: the edge refuses a connection with a problem before the upgrade, or passes it to a capability.

A browser cannot set headers on a WebSocket. It may send the subprotocols `luna.v1` and `luna.key.<key or token>`
instead; only the first is echoed. Nothing is sent by a browser on its own, as cookies are, so a foreign page has no
credential of its visitor; the check of its origin is a second line, and keeps to the list of CORS.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Credential
from luna_serving.access.denied import Denied
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.edge.bodies import Receive, Scope, Send, header_map
from luna_serving.edge.cors import SocketOrigins
from luna_serving.edge.paths import ACCOUNT_PATH
from luna_serving.edge.problem_answers import problem_response
from luna_serving.edge.query import read_query
from luna_serving.edge.recording import UNKNOWN, RequestRecord, begin_context, note_account, request_id
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.edge.security_headers import secured
from luna_serving.telemetry.metrics import RequestMetrics
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.accounts.tables import MAX_ACCOUNT_ID
from luna_store.people.roles import Role
from luna_store.quota.debits import Grant, Standing

log = logging.getLogger("luna.sockets")

SUBPROTOCOL: Final = "luna.v1"
KEY_SUBPROTOCOL: Final = "luna.key."
# RFC 9110, section 15.2.2: the status of an accepted upgrade, however the connection ended.
SWITCHED: Final = 101
# RFC 6455, section 7.4.1.
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
TRY_AGAIN_LATER: Final = 1013
# A close reason has to fit into a control frame of 125 bytes.
MAX_REASON: Final = 120


class Closed(Exception):
    """The connection is closed; nothing more can be sent."""


class Socket:
    """One accepted connection."""

    def __init__(self, account_id: int, credential: Callable[[], Credential], receive: Receive, send: Send) -> None:
        self.account_id = account_id
        self.credential = credential
        """Checks the caller's credential again: a token may have expired since. Raises Problem 401."""
        self._receive = receive
        self._send = send
        self.sent = 0
        """Bytes of the messages that were sent."""

    async def receive(self, seconds: float | None) -> str | bytes:
        """Receive a message: str for a text frame, bytes for a binary one.

        Args:
            seconds: to wait; None for as long as the connection is open.

        Raises:
            TimeoutError: none came in time.
            Closed: the connection is closed.
        """
        async with asyncio.timeout(seconds):
            message = await self._receive()
        if message["type"] != "websocket.receive":
            raise Closed
        text = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            Closed: the connection is closed.
        """
        self.sent += len(text.encode())
        await self._transmit({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        """Close the connection.

        Raises:
            Closed: always.
        """
        await self._transmit({"type": "websocket.close", "code": code, "reason": reason[:MAX_REASON]})
        raise Closed

    async def _transmit(self, message: dict[str, object]) -> None:
        try:
            await self._send(message)
        except OSError as e:  # uvicorn's ClientDisconnected is one
            raise Closed from e


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """One WebSocket of a capability, below `/api/v1/{account_id}/` and `/api/v1/`."""

    path: str
    serve: Callable[[Socket], Awaitable[None]]
    """Serves a connection until it returns or raises `Closed`."""
    least: Role = Role.MEMBER
    """The role that it needs."""
    grant: Grant | None = None
    """The grant that it needs of the account."""
    admit: Callable[[int, Standing], None] = lambda _, __: None
    """Takes an account and its standing before the upgrade, and again before `serve`, which must count the connection
    before it waits. Raises Problem, such as 429 for a limit on connections."""


Ended = Callable[[RequestRecord, Scope, str, int, int], None]
"""Takes a connection that is over or was refused: its record and scope, the route, the status, the bytes sent."""


def _not_recorded(*_: object) -> None:
    """The default of tests that look at other things."""


class Sockets:
    """The ASGI application of all WebSocket connections of an ingress replica."""

    def __init__(
        self,
        routes: list[SocketRoute],
        authorization: Authorization,
        metrics: RequestMetrics,
        refused: RefusedCredentials,
        *,
        max_connections: int,
        origins: SocketOrigins | None = None,
        ended: Ended = _not_recorded,
    ) -> None:
        """Wire the sockets.

        Args:
            routes: of all capabilities.
            authorization: recognises callers.
            metrics: counts upgrades and open connections.
            refused: counts refused credentials by address.
            max_connections: more are refused with 503.
            origins: the origins of browsers that may connect.
            ended: takes every connection that is over or was refused.
        """
        self._origins = origins or SocketOrigins()
        self._routes = {route.path: route for route in routes}
        self._authorization = authorization
        self._metrics = metrics
        self._refused = refused
        self._max_connections = max_connections
        self._ended = ended
        self._connections = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        await receive()  # websocket.connect
        headers = header_map(scope)
        record = RequestRecord(headers, begin_context(headers), time.perf_counter())
        match = ACCOUNT_PATH.fullmatch(scope["path"])
        route = self._routes.get(match[2]) if match else None
        try:
            if match is None or route is None:
                raise problems.not_found("No WebSocket is served at this path. See /docs.")
            socket, accept, standing = await self._admit(
                route, int(match[1]) if match[1] else None, record, scope, receive, send
            )
        except Denied as denied:
            await self._refuse(record, scope, send, route, denied.problem, denied.standing)
            return
        except Problem as problem:
            await self._refuse(record, scope, send, route, problem)
            return
        self._metrics.upgraded(route.path, SWITCHED)
        self._connections += 1
        self._metrics.sockets.inc()
        try:
            await send(accept)
            note_account(socket.account_id)
            # Again: connections that were accepted at the same time count as well by now.
            try:
                route.admit(socket.account_id, standing)
            except Problem as problem:
                with suppress(Closed):
                    await socket.close(TRY_AGAIN_LATER, problem.detail)
            else:
                await self._run(route, socket, request_id(header_map(scope)))
        finally:
            self._connections -= 1
            self._metrics.sockets.dec()
            self._ended(record, scope, route.path, SWITCHED, socket.sent)

    async def _admit(
        self,
        route: SocketRoute,
        account_id: int | None,
        record: RequestRecord,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> tuple[Socket, dict[str, object], Standing]:
        headers = with_key_of_subprotocol(record.headers, scope["subprotocols"])
        self._origins.check(headers)
        credential = record.credential = self._authorization.read(headers)
        await self._refused.admit(scope, headers, credential)
        if account_id is None:
            account_id = await self._authorization.identify(credential)
        elif account_id > MAX_ACCOUNT_ID:
            await self._authorization.identify(credential)
            raise problems.not_found(f"There is no account {account_id}.")
        standing = await self._authorization.standing(credential, account_id, route.path, route.grant)
        self._authorization.require(credential, route.least)
        read_query(scope["query_string"], ())
        if self._connections >= self._max_connections:
            raise Denied(problems.overloaded(), standing)
        try:
            route.admit(account_id, standing)
        except Problem as problem:
            raise Denied(problem, standing) from problem
        accept: dict[str, object] = {
            "type": "websocket.accept",
            "subprotocol": SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None,
            "headers": [(b"x-request-id", request_id(headers).encode("latin-1")), *ratelimit_headers(standing)],
        }
        return Socket(account_id, lambda: self._authorization.read(headers), receive, send), accept, standing

    async def _refuse(
        self,
        record: RequestRecord,
        scope: Scope,
        send: Send,
        route: SocketRoute | None,
        problem: Problem,
        standing: Standing | None = None,
    ) -> None:
        problem = await self._refused.counted(scope, record.headers, problem)
        label = route.path if route else UNKNOWN
        self._metrics.upgraded(label, problem.status)
        try:
            await refuse(scope, send, problem, standing)
        finally:
            self._ended(record, scope, label, problem.status, len(problem.body()))

    @staticmethod
    async def _run(route: SocketRoute, socket: Socket, id_: str) -> None:
        try:
            await route.serve(socket)
        except Closed:
            pass
        except Exception:
            log.exception("the connection failed")
            with suppress(Closed):
                await socket.close(INTERNAL_ERROR, f"Something went wrong on our side. Quote {id_} when you report it.")


def with_key_of_subprotocol(headers: dict[bytes, bytes], subprotocols: list[str]) -> dict[bytes, bytes]:
    """The headers, with the credential from the subprotocols if no header has one."""
    keys = [name.removeprefix(KEY_SUBPROTOCOL) for name in subprotocols if name.startswith(KEY_SUBPROTOCOL)]
    if not keys or b"x-api-key" in headers or b"authorization" in headers:
        return headers
    return {**headers, b"authorization": f"Bearer {keys[0]}".encode("latin-1")}


async def refuse(scope: Scope, send: Send, problem: Problem, standing: Standing | None = None) -> None:
    """Answer the upgrade with a problem, or close the connection if the server cannot answer an upgrade."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": problem.detail[:MAX_REASON]})
        return
    status, headers, body = problem_response(problem, standing)
    headers.append((b"x-request-id", request_id(header_map(scope)).encode("latin-1")))
    await send({"type": "websocket.http.response.start", "status": status, "headers": secured(headers)})
    await send({"type": "websocket.http.response.body", "body": body})
