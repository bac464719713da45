"""Sends answers: whole, or in pieces at the caller's speed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from luna_serving.edge.bodies import Message, Send
from luna_serving.edge.operation import Buffer, Pieces

# RFC 9110, section 8.6: no Content-Length.
WITHOUT_BODY: Final = frozenset({204, 304})


class Counted:
    """A `send` that notes what is sent: the status, and the bytes of the body."""

    __slots__ = ("_send", "size", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        """None while no answer has begun."""
        self.size = 0

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)


async def respond(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, head: bool = False
) -> None:
    """Send a whole answer; to HEAD, without the body."""
    if status not in WITHOUT_BODY:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def respond_in_pieces(
    send: Send,
    status: int,
    headers: list[tuple[bytes, bytes]],
    pieces: Pieces,
    *,
    stall_s: float,
    head: bool = False,
) -> None:
    """Send an answer in pieces, and close its iterator in any case.

    Args:
        send: of the connection.
        status: of the answer.
        headers: of the answer.
        pieces: the body. The next piece is taken when the server has taken the last one.
        stall_s: seconds that the server may wait for the caller to read.
        head: whether to omit the body.

    Raises:
        TimeoutError: the caller stopped reading; the server closes the connection.
        Exception: from the iterator; the server closes the connection.
    """
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if not head:
            async for piece in pieces.body:
                if pieces.gone():
                    return
                async with asyncio.timeout(stall_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if isinstance(pieces.body, AsyncGenerator):
            await pieces.body.aclose()


async def begun(body: AsyncIterator[Buffer]) -> AsyncGenerator[Buffer, None]:
    """The same pieces, with the first one computed, so that its errors are raised here."""
    first = [piece async for piece in _first(body)]
    return _chained(first, body)


async def _first(body: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    try:
        yield await anext(body)
    except StopAsyncIteration:
        return


async def _chained(first: list[Buffer], rest: AsyncIterator[Buffer]) -> AsyncGenerator[Buffer, None]:
    try:
        for piece in first:
            yield piece
        async for piece in rest:
            yield piece
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()
