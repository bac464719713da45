"""The same as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Self

from luna_serving.edge.event_stream import HEARTBEAT, HEARTBEAT_S, RETRY
from luna_serving.live.admission import Admitted
from luna_serving.live.session import LiveService, written


def frame(epoch: str, seq: int, kind: str, text: str) -> bytes:
    """One event; its id is the place in the stream, with which a client resumes."""
    return f"id: {epoch}:{seq}\nevent: {kind}\ndata: {text}\n\n".encode()


class Events:
    """The events of a client that has subscribed, until it is ended. Close it in any case: the client leaves then."""

    def __init__(self, service: LiveService, admitted: Admitted) -> None:
        """Begin.

        Args:
            service: of the connections.
            admitted: the client, connected and subscribed.
        """
        self._service = service
        self._admitted = admitted
        self._open = service.metrics.open.labels("sse")
        self._open.inc()
        service.admission.add(admitted)
        follow = service.hub.follow(admitted.subscriber)
        self._following = asyncio.create_task(follow, name="missed alerts of an event stream")
        self._frames = self._made()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._frames)

    async def aclose(self) -> None:
        """Leave the hub."""
        if self._closed:
            return
        self._closed = True
        self._open.dec()
        self._service.admission.remove(self._admitted)
        self._service.hub.leave(self._admitted.subscriber)
        self._following.cancel()
        await asyncio.wait({self._following})

    async def _made(self) -> AsyncIterator[bytes]:
        subscriber, metrics = self._admitted.subscriber, self._service.metrics
        yield RETRY
        sent_at = time.monotonic()
        while not subscriber.gone:
            if not await subscriber.waiting(max(0.0, sent_at + HEARTBEAT_S - time.monotonic())):
                yield HEARTBEAT
            for kind, text in written(subscriber):
                name = "subscribed" if kind == "reply" else kind
                piece = frame(subscriber.epoch, subscriber.position.seq, name, text)
                yield piece
                metrics.messages.labels(kind).inc()
                metrics.bytes.inc(len(piece))
            subscriber.drained()
            sent_at = time.monotonic()
        if subscriber.ending is not None:
            metrics.closed.labels(subscriber.ending.label).inc()
