"""What a capability answers on the lean path: a path, a method, and a way from the request to the answer.

Paths stand below `/api/v1/{account_id}/` and `/api/v1/`, such as `kalman/filter` or `indicators/{name}`. The edge
answers them, and the OpenAPI document shows them, from the same values.
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
from luna_store.quota.debits import Standing

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
NO_PARAMETERS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Operation:
    """A POST of JSON at a fixed path, computed by a gate and answered by JSON."""

    path: str
    gate: Gateway
    parse: Callable[[bytes], Work | Unresolved]
    """Of the body. Raises Problem 422. Called in any thread."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    """The OpenAPI operation object."""
    capability: str = field(kw_only=True)
    """The label of its metrics, and its tag in the document."""
    method: str = field(default="POST", init=False)
    parameters: frozenset[str] = field(default=NO_PARAMETERS, init=False)


@dataclass(frozen=True)
class Query:
    """A GET whose path and query say what to compute; computed by a gate and answered by JSON.

    HEAD is answered, and charged, as GET.
    """

    path: str
    gate: Gateway
    parse: Callable[[Parameters], Work | Unresolved]
    """Raises Problem 422. Called on the event loop."""
    parameters: frozenset[str] = NO_PARAMETERS
    """The query parameters that it takes; others are refused."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    capability: str = field(kw_only=True)
    method: str = field(default="GET", init=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole or in pieces."""

    body: bytes | AsyncIterator[bytes] = b""
    """Of an iterator, the next piece is asked for once the server has taken the last one. It is closed when the caller
    hangs up. A Problem that it raises before its first piece is the answer; an error after that breaks the connection
    off, so that no caller takes half an answer for a whole one."""
    status: int = 200
    headers: Headers = ()
    """With a Content-Type where there is a body; in lower case."""


@dataclass(slots=True)
class Asked:
    """One call of an `Exchange`, by a caller who was recognised as the account."""

    account_id: int
    credential: Credential
    standing: Standing
    headers: dict[bytes, bytes]
    parameters: Parameters
    seconds: float
    """What the caller waits."""
    max_body_bytes: int
    receive: Receive
    aside: Executor
    """For work that would hold up the event loop."""
    unread: bool
    """Whether the body has not been read to its end."""

    async def body(self) -> bytes:
        """The whole body, decompressed.

        Raises:
            Problem: 408, 413, or 415 for a Content-Encoding other than gzip and zstd.
        """
        coding = coding_of(self.headers)
        body = await read_in_time(self.headers, self.receive, self.max_body_bytes, self.seconds)
        self.unread = False
        if coding is None:
            return body
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.aside, unpacked, body, coding, self.max_body_bytes)

    async def json(self) -> bytes:
        """The whole body, which is JSON; not parsed.

        Raises:
            Problem: 408, 413, 415.
        """
        require_json(self.headers)
        return await self.body()

    async def chunks(self, limit: int) -> AsyncIterator[bytes]:
        """The body in pieces, as `read_chunks` has them: up to `limit` bytes, and not compressed."""
        async for chunk in read_chunks(self.headers, self.receive, limit, self.seconds):
            yield chunk
        self.unread = False


@dataclass(frozen=True, slots=True)
class Pieces:
    """The body of an answer in pieces, begun."""

    body: AsyncIterator[bytes]
    gone: Callable[[], bool]
    """Whether the caller has hung up."""


@dataclass(frozen=True)
class Exchange:
    """Any other call: any method, a body in pieces, another status than 200, an answer in pieces.

    The edge checks the caller, which consumes nothing; what the call costs, `serve` charges.
    """

    method: str
    path: str
    serve: Callable[[Asked], Awaitable[Answer]]
    """Answers, or raises Problem, within the seconds that the caller waits; an answer in pieces begins within them."""
    parameters: frozenset[str] = NO_PARAMETERS
    """The query parameters that it takes; others are refused."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    capability: str = field(kw_only=True)


Hot: TypeAlias = Operation | Query | Exchange
