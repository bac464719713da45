"""The lean path: answers calls to capabilities. FastAPI is behind it and answers all other requests.

The cost per request at the edge determines the throughput of the platform (`benchmarks/http`), so this path makes no
request object, no dependency graph and no response object. FastAPI documents the same routes from the same
`Operation`s.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.credentials import BEARER, Credential
from luna_serving.access.denials import Charge
from luna_serving.access.denied import Denied
from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.dispatch.call import Call
from luna_serving.dispatch.work import Rendered, Unresolved, Work
from luna_serving.edge.bodies import (
    ASGIApp,
    Coding,
    Disconnected,
    Receive,
    Scope,
    Send,
    coding_of,
    hang_up_detector,
    read_in_time,
    unpacked,
)
from luna_serving.edge.deadline_header import timeout_s
from luna_serving.edge.operation import Asked, Exchange, Hot, Operation, Parse, Pieces, Query
from luna_serving.edge.own_accounts import OwnAccounts
from luna_serving.edge.paths import ACCOUNT_PATH, asks_for_credentials
from luna_serving.edge.problem_answers import problem_response
from luna_serving.edge.proxy_peer import CALL_KEY
from luna_serving.edge.query import NO_QUERY, Parameters, read_query
from luna_serving.edge.recording import Recorder, RequestRecord, pass_on, route_label
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.edge.route_table import Methods, RouteTable
from luna_serving.edge.streaming import Counted, begun, respond, respond_in_pieces
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.accounts.tables import MAX_ACCOUNT_ID
from luna_store.quota import attempts
from luna_store.quota.debits import Debit, Decision, Standing

log = logging.getLogger("luna.requests")

JSON = b"application/json"
# The status that is recorded where a caller hung up before the answer.
HUNG_UP = 499
# Seconds to read the account's standing for these problems. Not for 5xx: the stores may be down or busy.
STANDING_S = 5.0
STANDING_STATUSES = frozenset({405, 408, 413, 415, 422})
# Statuses after which the edge asks the stores again which account a key belongs to.
DOUBTFUL = frozenset({401, 403, 404})
# Bodies above this size are parsed only after authentication, off the event loop: 10 MB of matrices take a second, in
# steps of up to 0.2 s that hold the interpreter lock.
PARSE_FIRST_BYTES = 256 * 1024


class Edge:
    """The outermost ASGI application of an ingress replica."""

    def __init__(
        self,
        operations: Sequence[Hot],
        authorization: Authorization,
        charges: Charges,
        rest: ASGIApp,
        sockets: ASGIApp,
        parser_pool: Executor,
        recorder: Recorder,
        refused: RefusedCredentials,
        *,
        max_body_bytes: int,
        timeout_s: float,
    ) -> None:
        self._operations: RouteTable[Hot] = RouteTable(operations)
        self._authorization = authorization
        self._charges = charges
        self._own = OwnAccounts(authorization.identify)
        self._rest = rest
        self._sockets = sockets
        self._parser_pool = parser_pool
        self._max_body_bytes = max_body_bytes
        self._timeout_s = timeout_s
        self._recorder = recorder
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        record = self._recorder.begin(scope)
        match = ACCOUNT_PATH.fullmatch(scope["path"])
        found = self._operations.find(match[2]) if match else None
        if match is None or found is None:
            await self._passed_on(record, scope, receive, send)
            return
        methods, values = found
        account_id = int(match[1]) if match[1] else None
        status, headers, body = await self._answer(methods, account_id, values, record, scope, receive)
        head = scope["method"] == "HEAD"
        size, counted = 0, None
        try:
            if isinstance(body, bytes):
                size = 0 if head else len(body)
                await respond(send, status, headers, body, head=head)
            else:
                counted = Counted(send)
                await respond_in_pieces(counted, status, headers, body, stall_s=self._timeout_s, head=head)
        except Disconnected:
            pass
        except Exception:
            log.exception("the answer broke off")
            raise  # The server closes the connection, so the caller sees that the answer is incomplete.
        finally:
            self._recorder.end(record, scope, methods.path, status, size if counted is None else counted.size)

    async def _passed_on(self, record: RequestRecord, scope: Scope, receive: Receive, send: Send) -> None:
        pass_on(record, scope)
        answer, hung_up = Counted(send), False
        try:
            if asks_for_credentials(scope["path"]) and (blocked := await self._refused.blocked(scope, record.headers)):
                await respond(answer, *problem_response(blocked), head=scope["method"] == "HEAD")
            else:
                await self._rest(scope, receive, answer)
        except Disconnected:
            hung_up = True
        finally:
            status = HUNG_UP if hung_up or answer.status is None else answer.status
            self._recorder.end(record, scope, route_label(scope), status, answer.size)

    async def _answer(
        self,
        methods: Methods[Hot],
        account_id: int | None,
        values: Mapping[str, str],
        record: RequestRecord,
        scope: Scope,
        receive: Receive,
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes | Pieces]:
        try:
            return await self._serve(methods, account_id, values, record, scope, receive)
        except Denied as denied:
            return problem_response(await self._refused.counted(scope, record.headers, denied.problem), denied.standing)
        except Problem as problem:
            return problem_response(await self._refused.counted(scope, record.headers, problem))
        except (Disconnected, asyncio.CancelledError):
            # The gate cancels the answer of a call whose caller has hung up, not the task.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return HUNG_UP, [], b""
        except Exception:
            log.exception("the request failed")
            return problem_response(problems.internal())

    async def _serve(
        self,
        methods: Methods[Hot],
        account_id: int | None,
        values: Mapping[str, str],
        record: RequestRecord,
        scope: Scope,
        receive: Receive,
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes | Pieces]:
        headers = record.headers
        asked_for = methods.by_name.get(scope["method"])
        schemes = BEARER if asked_for is None else asked_for.schemes
        credential = record.credential = self._authorization.read(headers, schemes)
        await self._refused.admit(scope, headers, credential)
        if account_id is None:
            account_id = self._own.known(credential) or await self._own.ask(credential)
        elif account_id > MAX_ACCOUNT_ID:
            await self._authorization.identify(credential)
            raise problems.not_found(f"There is no account {account_id}.")
        record.context["account_id"] = account_id
        seconds = min(timeout_s(headers) or self._timeout_s, self._timeout_s)
        until = time.monotonic() + seconds
        try:
            operation = methods.taking(scope["method"])
            self._authorization.require(credential, operation.least)
            query = read_query(scope["query_string"], operation.parameters) if scope["query_string"] else NO_QUERY
            if isinstance(operation, Operation):
                work = await self._read(operation, query, headers, credential, account_id, receive, until, seconds)
            elif isinstance(operation, Query):
                work = operation.parse(Parameters(values, query, headers))
            else:
                asked = Parameters(values, query, headers)
                return await self._exchanged(operation, asked, record, credential, account_id, receive, seconds)
            if isinstance(work, Unresolved):
                found = work.at_hand(account_id)
                work = found or await self._looked_up(work, credential, account_id, operation.path, until, seconds)
            debit = Debit(
                account_id=account_id,
                key_prefix=credential.key_prefix,
                key_digests=credential.key_digests,
                units=work.units,
                debit_id=attempts.debit_id(scope.get(CALL_KEY)),
                route=operation.path,
                grant=work.grant,
                amounts=work.amounts,
                traceparent=record.traceparent,
            )

            def attempt() -> Awaitable[tuple[Any, Decision]]:
                call = Call(debit, work.job, work.points, hang_up_detector(receive), record.context)
                return operation.gate.serve(call, until - time.monotonic(), seconds)

            result, standing = await self._charges.charge(Charge(credential, debit, work.limit_error), attempt)
            return self._finished(work, result, debit, standing)
        except Denied as denied:
            if denied.problem.status in DOUBTFUL:
                self._own.forget(credential)
            raise
        except Problem as problem:
            if problem.status in DOUBTFUL:
                self._own.forget(credential)
            if problem.status not in STANDING_STATUSES:
                raise
            # Raises 401 or 403 instead for a caller that may not see what is wrong with the request.
            standing_now = await self._standing_in_time(credential, account_id, methods.path)
            raise Denied(problem, standing_now) from problem

    def _finished(
        self,
        work: Work,
        result: Any,  # noqa: ANN401  the capability's own
        debit: Debit,
        standing: Standing,
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        try:
            answer = work.finish(result)
        except Exception:
            # The caller gets a 500: it is not charged.
            self._charges.void_later(debit)
            raise
        if isinstance(answer, Rendered):
            return answer.status, [*answer.headers, *ratelimit_headers(standing)], answer.body
        return 200, [(b"content-type", JSON), *ratelimit_headers(standing)], answer

    async def _standing_in_time(self, credential: Credential, account_id: int, route: str) -> Standing | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(STANDING_S):
                return await self._authorization.standing(credential, account_id, route)
        return None

    async def _read(
        self,
        operation: Operation,
        query: Mapping[str, list[str]],
        headers: dict[bytes, bytes],
        credential: Credential,
        account_id: int,
        receive: Receive,
        until: float,
        seconds: float,
    ) -> Work | Unresolved:
        parse = operation.parser(headers, query)
        body = await read_in_time(headers, receive, self._max_body_bytes, seconds)
        if len(body) > PARSE_FIRST_BYTES or b"content-encoding" in headers:
            await self._authorization.standing(credential, account_id, operation.path)
            return await self._parsed_aside(parse, body, coding_of(headers), until, seconds)
        return parse(body)

    async def _exchanged(
        self,
        operation: Exchange,
        parameters: Parameters,
        record: RequestRecord,
        credential: Credential,
        account_id: int,
        receive: Receive,
        seconds: float,
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes | Pieces]:
        headers = record.headers
        asked = Asked(
            account_id,
            credential,
            await self._authorization.standing(credential, account_id, operation.path),
            headers,
            parameters,
            seconds,
            self._max_body_bytes,
            receive,
            self._parser_pool,
            unread=b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0",
            traceparent=record.traceparent,
        )
        try:
            async with asyncio.timeout(seconds):
                answer = await operation.serve(asked)
                body = answer.body if isinstance(answer.body, bytes) else await begun(answer.body)
        except TimeoutError as e:
            raise problems.deadline(seconds) from e
        except Problem as problem:
            raise Denied(problem, asked.standing) from problem
        shown = [*answer.headers, *ratelimit_headers(asked.standing)]
        if isinstance(body, bytes):
            return answer.status, shown, body
        hung_up = hang_up_detector(receive)
        # A step of `receive` would take a piece of a body that is still being read.
        return answer.status, shown, Pieces(body, lambda: not asked.unread and hung_up())

    async def _parsed_aside(
        self, parse: Parse, body: bytes, coding: Coding | None, until: float, seconds: float
    ) -> Work | Unresolved:
        def parsed() -> Work | Unresolved:
            return parse(unpacked(body, coding, self._max_body_bytes) if coding else body)

        try:
            async with asyncio.timeout(until - time.monotonic()):
                return await asyncio.get_running_loop().run_in_executor(self._parser_pool, parsed)
        except TimeoutError as e:
            raise problems.deadline(seconds) from e

    async def _looked_up(
        self, call: Unresolved, credential: Credential, account_id: int, route: str, until: float, seconds: float
    ) -> Work:
        # Authenticated first: only an account's own callers cause queries for its models.
        standing = await self._authorization.standing(credential, account_id, route)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                return await call.look_up(account_id)
        except TimeoutError as e:
            raise problems.deadline(seconds) from e
        except Problem as problem:
            raise Denied(problem, standing) from problem
