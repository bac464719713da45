"""The kinds of operations that a capability can serve on the lean path.

Paths are relative to `/api/v1/{account_id}/` and `/api/v1/`, such as `kalman/filter` or `indicators/{name}`. The edge
and the OpenAPI document use the same values.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from luna_serving.access.credentials import Credential
from luna_serving.dispatch.lanes import Gateway
from luna_serving.dispatch.work import Unresolved, Work
from luna_serving.edge.bodies import Receive, coding_of, read_chunks, read_in_time, require_json, unpacked
from luna_serving.edge.query import Parameters
from luna_store.people.roles import Role
from luna_store.quota.debits import Standing

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
NO_PARAMETERS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Operation:
    """A POST of JSON at a fixed path; a gate computes the JSON answer."""

    path: str
    gate: Gateway
    parse: Callable[[bytes], Work | Unresolved]
    """Parses the body. Raises Problem 422. Called in any thread."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    """The OpenAPI operation object."""
    capability: str = field(kw_only=True)
    """The label of its metrics, and its tag in the document."""
    least: Role = field(default=Role.MEMBER, kw_only=True)
    """The role that it needs."""
    method: str = field(default="POST", init=False)
    parameters: frozenset[str] = field(default=NO_PARAMETERS, init=False)


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


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole or in pieces."""

    body: bytes | AsyncIterator[bytes] = b""
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

    async def json(self) -> bytes:
        """The whole body, declared as JSON; not parsed.

        Raises:
            Problem: 408, 413, 415.
        """
        require_json(self.headers)
        return await self.body()

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body in pieces, as from `read_chunks`: up to `limit` bytes, uncompressed."""
        async for chunk in read_chunks(self.headers, self.receive, limit, self.seconds):
            yield chunk
        self.unread = False


@dataclass(frozen=True, slots=True)
class Pieces:
    """The body of an answer in pieces, whose first piece is ready."""

    body: AsyncIterator[bytes]
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


Hot: TypeAlias = Operation | Query | Exchange
