"""Reading a request with as little as possible: headers in one pass, the body up to a limit."""

import re
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, cast

from luna_serving.ingress import problems

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# Past this a body is no longer read to its end just to answer politely: the connection is closed instead.
DRAIN_BYTES = 64 * 1024 * 1024
JSON_TYPE = re.compile(rb"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


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
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        raise problems.unsupported_media_type(f"Content-Encoding: {encoding.decode('latin-1')}")
    content_type = headers.get(b"content-type")
    if content_type is not None and not JSON_TYPE.fullmatch(content_type.strip()):
        raise problems.unsupported_media_type(content_type.decode("latin-1"))


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        Problem: 413, it has more than `limit` bytes. What follows is read and dropped, so that callers who send
            first and listen later get their answer instead of a broken pipe.
        Disconnected: the caller hung up.
    """
    declared = int(length) if (length := headers.get(b"content-length", b"")).isdigit() else 0
    message = await receive()
    body = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit and message["type"] == "http.request":
        return bytes(body)
    parts = [] if declared > limit else [body]
    size = len(body)
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit and declared <= limit:
            parts.append(chunk)
        elif size > DRAIN_BYTES:
            break
    if message["type"] == "http.disconnect":
        raise Disconnected
    if size > limit or declared > limit:
        raise problems.too_large(limit)
    return b"".join(parts)


def hang_up_detector(receive: Receive) -> Callable[[], bool]:
    """Make a cheap question, for after the body was read: whether the caller has hung up.

    It takes one step of `receive` and drops it, which spares a task per request.
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
