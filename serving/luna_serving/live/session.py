"""Serves one WebSocket: a task that reads, a task that writes."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from luna_serving.access.denied import Denied
from luna_serving.edge.sockets import Closed, Socket
from luna_serving.live import protocol
from luna_serving.live.admission import Admission, Admitted
from luna_serving.live.hub import MOST_SELECTORS, Hub, TooManySelectors, TooManySeries, Wanted
from luna_serving.live.metrics import LiveMetrics
from luna_serving.live.ports import PortUnavailable
from luna_serving.live.selectors import SelectorRefused
from luna_serving.live.subscribers import POLICY_VIOLATION, Ending, Subscriber
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem

log = logging.getLogger("luna.live")

# Seconds until the first subscription; idle connections cost memory.
BEGIN_S: Final = 60.0
# Seconds for which a client may read nothing while messages wait.
STALL_S: Final = 30.0
MESSAGE_TOO_BIG: Final = 1009
MOST_CHARACTERS: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class LiveService:
    """What the connections of an ingress replica share."""

    hub: Hub
    admission: Admission
    metrics: LiveMetrics
    most_series: int
    """That one subscription may match."""

    async def serve(self, socket: Socket) -> None:
        """Serve one connection until either side closes it."""
        subscriber = self.hub.connect(socket.account_id)
        admitted = Admitted(subscriber, socket.credential)
        self.admission.add(admitted)
        open_ = self.metrics.open.labels("websocket")
        open_.inc()
        reader = asyncio.create_task(self._read(socket, subscriber), name="reader of a live connection")
        try:
            await self._write(socket, subscriber)
        finally:
            open_.dec()
            self.admission.remove(admitted)
            self.hub.leave(subscriber)
            reader.cancel()
            await asyncio.wait({reader})
            if not reader.cancelled() and (failure := reader.exception()) is not None:
                raise failure

    async def subscribe(self, subscriber: Subscriber, wanted: Wanted) -> None:
        """Begin a subscription and queue its answer.

        Raises:
            Problem: 422, 429, 503.
        """
        try:
            resumed = await self.hub.subscribe(subscriber, wanted)
        except SelectorRefused as e:
            raise problems.invalid(e.error) from e
        except TooManySelectors as e:
            detail = f"All connections of the account may watch {MOST_SELECTORS} different selectors. Share selectors."
            raise Problem(
                "too-many-selectors", 429, "Too many different selectors.", detail, {"Retry-After": "5"}
            ) from e
        except TooManySeries as e:
            wrong = f"Match more than {self.most_series} series: narrow them, or watch an aggregate."
            raise problems.invalid(FieldError(wanted.pointer, wrong)) from e
        except PortUnavailable as e:
            raise problems.dependencies_gone(e.what) from e
        subscriber.open(protocol.subscribed(subscriber.epoch, subscriber.position.seq, resumed=resumed))

    async def _read(self, socket: Socket, subscriber: Subscriber) -> None:
        """Read messages until the connection or the subscriber ends."""
        wait_s: float | None = BEGIN_S
        try:
            while not subscriber.gone:
                message = await socket.receive(wait_s)
                if len(message) > MOST_CHARACTERS:
                    wrong = f"A message may have {MOST_CHARACTERS} characters."
                    subscriber.end(Ending(MESSAGE_TOO_BIG, wrong, "message"))
                    return
                await subscriber.room()
                try:
                    wanted = protocol.read_message(message)
                    if wanted is None:
                        subscriber.reply(protocol.PONG)
                        continue
                    await self.subscribe(subscriber, wanted)
                    wait_s = None
                    await self.hub.follow(subscriber)
                except Denied as denied:
                    subscriber.reply(protocol.error(denied.problem))
                except Problem as problem:
                    subscriber.reply(protocol.error(problem))
        except TimeoutError:
            subscriber.end(Ending(POLICY_VIOLATION, f"Subscribe within {BEGIN_S:g} s.", "idle"))
        except Closed:
            pass
        finally:
            subscriber.end(None)

    async def _write(self, socket: Socket, subscriber: Subscriber) -> None:
        """Write until the connection or the subscriber ends."""
        before = socket.sent
        while await subscriber.waiting():
            if subscriber.gone:
                break
            try:
                for kind, text in written(subscriber):
                    async with asyncio.timeout(STALL_S):
                        await socket.send(text)
                    self.metrics.messages.labels(kind).inc()
            except TimeoutError:
                # The edge closes the connection: nothing more can be sent on it.
                self.metrics.closed.labels("slow").inc()
                return
            subscriber.drained()
            self.metrics.bytes.inc(socket.sent - before)
            before = socket.sent
        ending = subscriber.ending
        if ending is not None:
            self.metrics.closed.labels(ending.label).inc()
            with suppress(Closed):
                await socket.close(ending.code, ending.reason)


def written(subscriber: Subscriber) -> Iterator[tuple[str, str]]:
    """The messages that wait, with their kinds; the next one is taken when the one before was sent."""
    while (reply := subscriber.take_reply()) is not None:
        yield "reply", reply
    while (alert := subscriber.take_alert()) is not None:
        yield "alert", protocol.alert(subscriber.epoch, subscriber.position.at_alert(alert.seq), alert.alert)
    for series in protocol.updates(subscriber.take_changes()):
        yield "update", protocol.update(subscriber.epoch, subscriber.position.next(), series)
