"""Reading a request with as little as possible: headers in one pass, the body up to a limit.

The lean path and FastAPI's routes read bodies with these functions, so that limits and refusals are the same.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Literal, cast

import pyarrow as pa

from luna_serving.wire import problems

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Coding = Literal["gzip", "zstd"]

# Past this a body without a declared length is not read to its end before it is refused.
DRAIN_BYTES = 64 * 1024 * 1024
JSON_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

# By the content coding's name on the wire (RFC 9110, section 8.4.1; RFC 8878).
CODINGS: dict[bytes, Coding] = {b"gzip": "gzip", b"x-gzip": "gzip", b"zstd": "zstd"}


class Disconnected(Exception):
    """The caller hung up while the body was being read."""


def header_map(scope: Scope) -> dict[bytes, bytes]:
    """The headers by lower-case name; of repeated ones the last."""
    return dict(scope["headers"])


def require_json(headers: dict[bytes, bytes]) -> None:
    """Accept JSON, or no declared type at all.

    Raises:
        Problem: 415.
    """
    coding_of(headers)
    content_type = headers.get(b"content-type")
    if content_type is not None and not JSON_TYPE.fullmatch(content_type.strip()):
        raise problems.unsupported_media_type(content_type.decode("latin-1"))


def coding_of(headers: dict[bytes, bytes]) -> Coding | None:
    """How the body is compressed; None for a body that is not.

    Raises:
        Problem: 415, in a way that `unpacked` does not know.
    """
    declared = headers.get(b"content-encoding")
    if declared is None:
        return None
    name = declared.strip().lower()
    if name == b"identity":
        return None
    if name not in CODINGS:
        raise problems.unsupported_content_coding(declared.decode("latin-1"), CODINGS.values())
    return CODINGS[name]


def unpacked(body: bytes, coding: Coding, limit: int) -> bytes:
    """A compressed body as it was before; of several frames or members, all. Takes 10 to 30 ms for 10 MB.

    Raises:
        Problem: 413, it has more than `limit` bytes, of which no more than that many were unpacked; 415, it is not
            compressed so, or breaks off.
    """
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), coding) as stream:
            whole: bytes = stream.read(limit + 1)
    except OSError as e:
        raise problems.not_compressed_so(coding) from e
    if len(whole) > limit:
        raise problems.too_large(limit)
    return whole


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        Problem: 413, it has more than `limit` bytes. Where Content-Length says so, nothing is read, and a caller who
            waits for `100 Continue` is refused instead; the server drops what comes after the answer. Otherwise
            what follows is read and dropped here, so that callers who send first and listen later get their answer
            instead of a broken pipe.
        Disconnected: the caller hung up.
    """
    declared = int(length) if (length := headers.get(b"content-length", b"")).isdigit() else 0
    if declared > limit:
        raise problems.too_large(limit)
    message = await receive()
    body = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit and message["type"] == "http.request":
        return bytes(body)
    parts = [body]
    size = len(body)
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            parts.append(chunk)
        elif size > DRAIN_BYTES:
            break
    if message["type"] == "http.disconnect":
        raise Disconnected
    if size > limit:
        raise problems.too_large(limit)
    return b"".join(parts)


async def read_in_time(headers: dict[bytes, bytes], receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body as it was sent, see `read_body`.

    Raises:
        Problem: 408, it did not arrive within `seconds`; 413.
        Disconnected: the caller hung up.
    """
    try:
        async with asyncio.timeout(seconds):
            return await read_body(headers, receive, limit)
    except TimeoutError as e:
        raise problems.slow_body(seconds) from e


async def read_chunks(
    headers: dict[bytes, bytes], receive: Receive, limit: int, seconds: float
) -> AsyncIterator[bytes]:
    """The body piece by piece, as it arrives: the server reads no further than its buffer while a piece is in work.

    Args:
        headers: of the request.
        receive: of the connection.
        limit: bytes of the whole body.
        seconds: that each piece may take to arrive.

    Raises:
        Problem: 408, a piece did not arrive in time; 413, there are more than `limit` bytes; 415, it is compressed:
            what is read in pieces is taken as it is.
        Disconnected: the caller hung up.
    """
    if coding_of(headers) is not None:
        raise problems.unsupported_content_coding(headers[b"content-encoding"].decode("latin-1"), ["identity"])
    declared = int(length) if (length := headers.get(b"content-length", b"")).isdigit() else 0
    if declared > limit:
        raise problems.too_large(limit)
    size, more = 0, True
    while more:
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError as e:
            raise problems.slow_body(seconds) from e
        if message["type"] != "http.request":
            raise Disconnected
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise problems.too_large(limit)
        if chunk:
            yield bytes(chunk)


def hang_up_detector(receive: Receive) -> Callable[[], bool]:
    """Make a cheap question, for after the body was read: whether the caller has hung up.

    It takes one step of `receive` by hand and drops it, which spares a task per request. This relies on uvicorn, which
    the requirements pin: its `receive` waits in one `await` for an event and changes nothing before that, so a step
    that is closed there loses no message. A test holds every new version to that; a server whose `receive` starts
    work before its first wait needs a task instead.
    """

    def gone() -> bool:
        step = cast("Coroutine[None, None, Message]", receive())
        try:
            step.send(None)
        except StopIteration as done:
            return bool(done.value["type"] == "http.disconnect")
        else:
            return False
        finally:
            step.close()

    return gone
