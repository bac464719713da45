"""Reads headers in one pass, and a body up to a limit.

The lean path and FastAPI's routes both use these functions, so that limits and refusals are the same.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any, Literal, cast

import pyarrow as pa

from luna_serving.wire import problems
from luna_serving.wire.tabular import JSON

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Coding = Literal["gzip", "zstd"]

# Beyond this, a body without a declared length is refused before its end is read.
DRAIN_BYTES = 64 * 1024 * 1024
JSON_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

# By content coding (RFC 9110, section 8.4.1; RFC 8878).
CODINGS: dict[bytes, Coding] = {b"gzip": "gzip", b"x-gzip": "gzip", b"zstd": "zstd"}


class Disconnected(Exception):
    """The caller hung up while the body was being read."""


def header_map(scope: Scope) -> dict[bytes, bytes]:
    """The headers by lower-case name; the last of repeated ones."""
    return dict(scope["headers"])


def require_json(headers: dict[bytes, bytes]) -> None:
    """Check that the declared type, if any, is JSON.

    Raises:
        Problem: 415.
    """
    coding_of(headers)
    content_type = headers.get(b"content-type")
    if content_type is not None and not JSON_TYPE.fullmatch(content_type.strip()):
        raise problems.unsupported_media_type(content_type.decode("latin-1"))


def media_type_of(headers: dict[bytes, bytes], taken: AbstractSet[str]) -> str:
    """The declared type of the body, without parameters, in lower case; JSON where none is declared.

    Raises:
        Problem: 415, it is none of those `taken`.
    """
    declared = headers.get(b"content-type")
    if declared is None or JSON_TYPE.fullmatch(declared.strip()):
        return JSON
    name = declared.split(b";", 1)[0].strip().lower().decode("latin-1")
    if name not in taken:
        raise problems.unsupported_media_type(declared.decode("latin-1"), sorted(taken))
    return name


def coding_of(headers: dict[bytes, bytes]) -> Coding | None:
    """The body's content coding; None for an uncompressed body.

    Raises:
        Problem: 415, `unpacked` does not support the coding.
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
    """Decompress a body, with all its frames or members. Takes 10 to 30 ms for 10 MB.

    Raises:
        Problem: 413, it has more than `limit` bytes decompressed (decompression stops there); 415, it is not in this
            coding, or is incomplete.
    """
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), coding) as stream:
            whole: bytes = stream.read(limit + 1)
    except OSError as e:
        raise problems.not_compressed_so(coding) from e
    if len(whole) > limit:
        raise problems.too_large(limit)
    return whole


def arrived(receive: Receive) -> Message | None:
    """The next message if it is there already; else None, and nothing is taken.

    Runs one step of `receive` by hand, as `hang_up_detector` does: a small body arrives with its head, and needs
    neither a timer nor a wait.
    """
    step = cast("Coroutine[None, None, Message]", receive())
    try:
        step.send(None)
    except StopIteration as done:
        message: Message = done.value
        return message
    step.close()
    return None


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int, first: Message | None = None) -> bytes:
    """The whole body, as it was sent.

    Args:
        headers: of the request.
        receive: of the connection.
        limit: most bytes.
        first: the first message, if it was taken already.

    Raises:
        Problem: 413, it has more than `limit` bytes. If Content-Length says so, nothing is read, and a caller that
            waits for `100 Continue` is refused instead; the server drops what follows the answer. Otherwise the rest
            is read and dropped here, so that callers that send first and listen later get their answer instead of a
            broken pipe.
        Disconnected: the caller hung up.
    """
    declared = int(length) if (length := headers.get(b"content-length", b"")).isdigit() else 0
    if declared > limit:
        raise problems.too_large(limit)
    message = first or await receive()
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
    declared = headers.get(b"content-length", b"")
    # What is refused by its length is not read.
    first = arrived(receive) if declared.isdigit() and int(declared) <= limit else None
    if first is not None and first["type"] == "http.request" and not first.get("more_body", False):
        body = first.get("body", b"")
        if len(body) <= limit:
            return bytes(body)
    try:
        async with asyncio.timeout(seconds):
            return await read_body(headers, receive, limit, first)
    except TimeoutError as e:
        raise problems.slow_body(seconds) from e


async def read_chunks(
    headers: dict[bytes, bytes], receive: Receive, limit: int, seconds: float
) -> AsyncIterator[bytes]:
    """The body in pieces, as they arrive; the server reads no further than its buffer while a piece is processed.

    Args:
        headers: of the request.
        receive: of the connection.
        limit: most bytes of the whole body.
        seconds: most seconds until each piece arrives.

    Raises:
        Problem: 408, a piece did not arrive in time; 413, there are more than `limit` bytes; 415, it is compressed:
            pieces are not decompressed.
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
    """Make a cheap check, for use after the body was read, of whether the caller has hung up.

    The check runs one step of `receive` by hand and drops it, which saves a task per request. It relies on uvicorn,
    which the requirements pin: its `receive` waits in one `await` for an event and changes nothing before that, so
    closing it there loses no message. A test checks every new version for this; a server whose `receive` starts work
    before its first wait needs a task instead.
    """

    def gone() -> bool:
        message = arrived(receive)
        return message is not None and bool(message["type"] == "http.disconnect")

    return gone
