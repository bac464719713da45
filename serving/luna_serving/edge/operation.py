"""The kinds of operations that a capability can serve on the lean path.

Paths are relative to `/api/v1/{account_id}/` and `/api/v1/`, such as `kalman/filter` or `indicators/{name}`. The edge
and the OpenAPI document use the same values.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from luna_serving.access.credentials import BEARER, Credential
from luna_serving.dispatch.lanes import Gateway
from luna_serving.dispatch.work import Unresolved, Work
from luna_serving.edge.bodies import (
    Receive,
    coding_of,
    media_type_of,
    read_chunks,
    read_in_time,
    require_json,
    unpacked,
)
from luna_serving.edge.query import Parameters
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import JSON
from luna_store.people.roles import Role
from luna_store.quota.debits import Standing

Buffer: TypeAlias = bytes | memoryview
"""A piece of a body; a view is of single bytes, and is not written to while it is sent."""
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
NO_PARAMETERS: Final[frozenset[str]] = frozenset()


Parse: TypeAlias = Callable[[bytes], Work | Unresolved]
"""Parses a body. Raises Problem 422. Called in any thread."""


@dataclass(frozen=True, slots=True)
class Forms:
    """The media types beside JSON of an operation's bodies and answers."""

    media_types: frozenset[str]
    """Without JSON."""
    parse: Callable[[Sent], Work | Unresolved]
    """Parses a request whose body or answer is of one of them, or that has a query. Raises Problem 406, 422. Called in
    any thread."""
    parameters: frozenset[str] = NO_PARAMETERS
    """The query parameters that it takes."""

    def sent(self, headers: dict[bytes, bytes], query: Mapping[str, list[str]]) -> Sent | None:
        """The request without its body; None where JSON is answered with JSON, whatever else `Accept` names.

        Raises:
            Problem: 415.
        """
        media_type = media_type_of(headers, self.media_types)
        accept = headers.get(b"accept", b"*/*").decode("latin-1").lower()
        if media_type == JSON and not query and not any(form in accept for form in self.media_types):
            return None
        return Sent(b"", media_type, accept, query)


@dataclass(frozen=True)
class Operation:
    """A POST of JSON at a fixed path; a gate computes the JSON answer. `forms` adds other media types."""

    path: str
    gate: Gateway
    parse: Parse
    openapi: Mapping[str, Any] = field(default_factory=dict)
    """The OpenAPI operation object."""
    capability: str = field(kw_only=True)
    """The label of its metrics, and its tag in the document."""
    least: Role = field(default=Role.MEMBER, kw_only=True)
    """The role that it needs."""
    forms: Forms | None = field(default=None, kw_only=True)
    """Other media types of bodies and answers; None: JSON alone."""
    method: str = field(default="POST", init=False)
    schemes: frozenset[str] = field(default=BEARER, init=False)

    @property
    def parameters(self) -> frozenset[str]:
        """The query parameters that it takes; others are refused."""
        return NO_PARAMETERS if self.forms is None else self.forms.parameters

    def parser(self, headers: dict[bytes, bytes], query: Mapping[str, list[str]]) -> Parse:
        """What parses the body of a request.

        Raises:
            Problem: 415.
        """
        forms = self.forms
        if forms is None:
            require_json(headers)
            return self.parse
        coding_of(headers)
        sent = forms.sent(headers, query)
        return self.parse if sent is None else lambda body: forms.parse(replace(sent, body=body))


@dataclass(frozen=True)
class Query:
    """A GET whose path and query say what to compute; a gate computes the answer, of which the work says the form.

    HEAD is answered and charged as GET.
    """

    path: str
    gate: Gateway
    parse: Callable[[Parameters], Work | Unresolved]
    """Parses path and query. Raises Problem 422. Called on the event loop."""
    parameters: frozenset[str] = NO_PARAMETERS
    """The query parameters that it takes; others are refused."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    capability: str = field(kw_only=True)
    least: Role = field(default=Role.MEMBER, kw_only=True)
    method: str = field(default="GET", init=False)
    schemes: frozenset[str] = field(default=BEARER, init=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole or in pieces."""

    body: bytes | AsyncIterator[Buffer] = b""
    """From an iterator, the edge takes the next piece when the server has taken the last one, and closes it when the
    caller hangs up. A Problem that it raises before its first piece is the answer; a later error closes the connection,
    so that no caller takes an incomplete answer for a whole one."""
    status: int = 200
    headers: Headers = ()
    """In lower case, with a content-type if there is a body."""


@dataclass(slots=True)
class Asked:
    """One call of an `Exchange`, by a caller that was recognised as the account."""

    account_id: int
    credential: Credential
    standing: Standing
    """For the RateLimit headers; `serve` sets the one after its charge."""
    headers: dict[bytes, bytes]
    parameters: Parameters
    seconds: float
    """Seconds that the caller waits."""
    max_body_bytes: int
    receive: Receive
    aside: Executor
    """For work that would block the event loop."""
    unread: bool
    """Whether the end of the body has not been read."""
    traceparent: str = ""
    """Of the request's span; empty where it is not traced."""

    async def body(self, limit: int | None = None) -> bytes:
        """The whole body, decompressed; at most `limit` bytes, or those of the settings.

        Raises:
            Problem: 408, 413, or 415 for a Content-Encoding other than gzip and zstd.
        """
        most = limit or self.max_body_bytes
        coding = coding_of(self.headers)
        body = await read_in_time(self.headers, self.receive, most, self.seconds)
        self.unread = False
        if coding is None:
            return body
        return await asyncio.get_running_loop().run_in_executor(self.aside, unpacked, body, coding, most)

    async def json(self, limit: int | None = None) -> bytes:
        """The whole body, declared as JSON; not parsed. At most `limit` bytes, or those of the settings.

        Raises:
            Problem: 408, 413, 415.
        """
        require_json(self.headers)
        return await self.body(limit)

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body in pieces, as from `read_chunks`: up to `limit` bytes, uncompressed."""
        async for chunk in read_chunks(self.headers, self.receive, limit, self.seconds):
            yield chunk
        self.unread = False


@dataclass(frozen=True, slots=True)
class Pieces:
    """The body of an answer in pieces, whose first piece is ready."""

    body: AsyncIterator[Buffer]
    gone: Callable[[], bool]
    """Whether the caller has hung up."""


@dataclass(frozen=True)
class Exchange:
    """Any other call: any method or status, bodies and answers in pieces.

    The edge authenticates the caller, which charges nothing; `serve` charges the call.
    """

    method: str
    path: str
    serve: Callable[[Asked], Awaitable[Answer]]
    """Answers or raises Problem while the caller waits; an answer in pieces begins within this time."""
    parameters: frozenset[str] = NO_PARAMETERS
    """The query parameters that it takes; others are refused."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    capability: str = field(kw_only=True)
    least: Role = field(default=Role.MEMBER, kw_only=True)
    schemes: frozenset[str] = field(default=BEARER, kw_only=True)
    """The schemes of the header Authorization that it takes, in lower case."""


Hot: TypeAlias = Operation | Query | Exchange


def check_retried(routes: Sequence[str], operations: Sequence[Hot]) -> None:
    """Check the routes that HAProxy is told to send again (`EdgeSettings.retried_routes`).

    Raises:
        ValueError: one is an `Exchange`, which charges and may change something in each attempt.
    """
    for each in operations:
        if isinstance(each, Exchange) and f"{each.method} {each.path}" in routes:
            raise ValueError(
                f"LUNA_EDGE_RETRIED_ROUTES names {each.method} {each.path}, which is an Exchange: it is served once."
            )
