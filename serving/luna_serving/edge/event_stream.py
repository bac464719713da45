"""Server-sent events (WHATWG HTML, section 9.2): an answer that goes on until its work or its caller ends.

The routes' own deadline does not hold for such an answer. Nothing is left of one whose caller has vanished: the
iterator is closed as soon as the server has noticed, or when the caller reads nothing for `stall_s` seconds. A server
that stops ends its streams; callers connect again, elsewhere, and go on after the last event.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from fastapi.responses import Response

from luna_serving.edge.bodies import Receive, Scope, Send
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

MEDIA_TYPE: Final = "text/event-stream"
# Proxies close connections on which nothing comes for half a minute or more.
HEARTBEAT_S: Final = 15.0
HEARTBEAT: Final = b": heartbeat\n\n"
# Milliseconds after which a browser connects again.
RETRY: Final = b"retry: 2000\n\n"
# `edge.fastapi_app.HeadAsGet` marks requests that get no body.
HEAD: Final = "luna.head"
# In the state of the connection's scope: an event, which `edge.http_protocol` sets when the server stops.
STOPPING: Final = "luna.stopping"
LARGEST_ID: Final = 2**63 - 1
_ID: Final = re.compile(r"\d{1,19}", re.ASCII)
OPENAPI: Final[Mapping[str, Any]] = {MEDIA_TYPE: {"schema": {"type": "string"}}}


def frame(id_: int, event: str, data: bytes) -> bytes:
    """One event; `data` has no line breaks."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (id_, event.encode(), data)


def read_last_id(header: str | None, parameter: str | None) -> int | None:
    """The id of the last event that the caller has; the header wins.

    Raises:
        Problem: 422.
    """
    sent, pointer = (parameter, "/query/last_event_id") if header is None else (header, "/header/last-event-id")
    if sent is None or not sent.strip():
        return None
    if not _ID.fullmatch(sent.strip()) or int(sent) > LARGEST_ID:
        raise problems.invalid(
            FieldError(pointer, "Must be the id of an event: a whole number. Leave it out to begin.")
        )
    return int(sent)


class Frames(Protocol):
    """Frames as they come, such as an asynchronous generator."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """End them; called in any case, also if none was taken."""


class EventStream(Response):
    """Sends frames as they come."""

    media_type = MEDIA_TYPE

    def __init__(self, frames: Frames, *, stall_s: float) -> None:
        """Make the answer.

        Args:
            frames: what is sent; closed in any case.
            stall_s: seconds that the caller may read nothing.
        """
        super().__init__(headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the frames or the caller end."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope.get(HEAD):
                await send({"type": "http.response.body", "body": b""})
                return
            sending = asyncio.create_task(self._send(send), name="event stream")
            watching = asyncio.create_task(_hung_up(receive), name="caller of an event stream")
            stopping = scope.setdefault("state", {})[STOPPING] = asyncio.Event()
            stopped = asyncio.create_task(stopping.wait(), name="end of an event stream's server")
            tasks: set[asyncio.Task[Any]] = {sending, watching, stopped}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            if not sending.cancelled():
                _raise_but_stalls(sending)
            elif stopping.is_set():
                await send({"type": "http.response.body", "body": b""})
        finally:
            await self._frames.aclose()

    async def _send(self, send: Send) -> None:
        async for piece in self._frames:
            async with asyncio.timeout(self._stall_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _raise_but_stalls(sending: "asyncio.Task[None]") -> None:
    """Raise what ended the stream: the server then closes the connection. Vanished callers are no error."""
    error = sending.exception()
    if error is not None and not isinstance(error, OSError):
        raise error
