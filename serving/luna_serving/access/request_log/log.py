"""Collects facts and writes them in batches, off the requests' path.

Memory is bounded, and so is the loss: while Postgres takes nothing, the newest `memory_rows` rows wait. A process that
is killed loses what it has not written: at most `flush_s` seconds, and what waits for Postgres. One that is asked to
stop writes all.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple

from luna_serving.access.request_log.metrics import RequestLogMetrics
from luna_serving.access.request_log.rows import Fact, Rows
from luna_serving.settings.records import RequestsSettings
from luna_store.requests.writing import AlreadyWritten, Unwritable, batch

log = logging.getLogger("luna.request_log")

# Seconds between attempts while Postgres does not take a batch.
RETRY_S: Final = 1.0
# Facts that are turned into rows at a stretch, which takes the event loop a quarter of a millisecond.
AT_A_STRETCH: Final = 250
# Seconds that a stop waits for Postgres.
CLOSE_S: Final = 3.0


class Batch(NamedTuple):
    """Rows that are written in one transaction."""

    rows: int
    body: bytes


class RequestLog:
    """The request log of an ingress replica."""

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[None]],
        rows: Rows,
        metrics: RequestLogMetrics,
        settings: RequestsSettings,
    ) -> None:
        """Wire it.

        Args:
            write: writes the body of a batch; see `luna_store.requests.writing.write`.
            rows: makes rows of facts; bounded here for unknown callers.
            metrics: of the replica.
            settings: how often, and how many.
        """
        self._write = write
        self._make = rows
        self._strangers = settings.unknown_rows
        self._metrics = metrics
        self._flush_s = settings.flush_s
        self._memory_rows = settings.memory_rows
        self._batch_rows = min(settings.batch_rows, settings.memory_rows)
        self._facts: list[Fact] = []
        self.append: Final = self._facts.append
        """Takes the facts of one request: the whole cost on a request's path."""
        self._rows: list[bytes] = []
        """Of the batch that is being made."""
        self._batches: deque[Batch] = deque()
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to write, on the running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._collect(), name="request log: collect"),
            loop.create_task(self._send(), name="request log: send"),
        ]

    async def flush(self) -> None:
        """Write everything that was taken until now; waits for Postgres."""
        await self._take()
        await self._idle.wait()

    async def close(self) -> None:
        """Write what is left, for at most `CLOSE_S` seconds."""
        if not self._tasks:
            return
        collecting, sending = self._tasks
        collecting.cancel()
        with suppress(asyncio.CancelledError):
            await collecting
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.flush()
        if self._waiting:
            self._metrics.dropped.inc(self._waiting)
            log.error("%d rows of the request log are lost: Postgres did not take them in time", self._waiting)
        # Not awaited: psycopg spends seconds asking a server that hangs to cancel.
        sending.cancel()

    async def _collect(self) -> None:
        while True:
            self._make.strangers = self._strangers
            await asyncio.sleep(self._flush_s)
            await self._take()

    async def _take(self) -> None:
        """Turn the facts into batches."""
        while self._facts:
            stretch = min(AT_A_STRETCH, self._batch_rows - len(self._rows))
            taken = self._facts[:stretch]
            # In place: `append` is bound to this list.
            del self._facts[:stretch]
            try:
                self._rows += self._make.of(taken)
            except Exception:  # or the facts would pile up without a bound
                log.exception("%d requests cannot be logged", len(taken))
                self._metrics.dropped.inc(len(taken))
            if len(self._rows) >= self._batch_rows:
                self._batch()
            await asyncio.sleep(0)
        if self._rows:
            self._batch()
        self._metrics.left_out.inc(self._make.left_out)
        self._make.left_out = 0

    def _batch(self) -> None:
        made = Batch(len(self._rows), batch(self._rows))
        self._rows = []
        self._batches.append(made)
        self._idle.clear()
        self._arrived.set()
        self._count(made.rows)
        while self._waiting > self._memory_rows and self._batches:
            self._done(self._batches.popleft(), written=False)

    def _done(self, done: Batch, *, written: bool) -> None:
        (self._metrics.rows if written else self._metrics.dropped).inc(done.rows)
        self._count(-done.rows)
        if not self._waiting:
            self._idle.set()

    def _count(self, more: int) -> None:
        self._waiting += more
        self._metrics.waiting.set(self._waiting)

    async def _send(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._batches:
                oldest = self._batches.popleft()
                tries = 0
                while not await self._sent(oldest, again=tries > 0):
                    tries += 1
                    if self._waiting > self._memory_rows:
                        self._done(oldest, written=False)
                        break
                    await asyncio.sleep(RETRY_S)

    async def _sent(self, sent: Batch, *, again: bool) -> bool:
        """Send a batch; False if it has to be sent again."""
        try:
            await self._write(sent.body)
        except AlreadyWritten:
            # The first attempt cannot find its own rows: ids that were drawn twice, once in 2^30 starts.
            self._done(sent, written=again)
        except Unwritable:
            log.exception("Postgres refuses %d rows of the request log", sent.rows)
            self._done(sent, written=False)
        except Exception as e:  # noqa: BLE001  the log never takes a replica down; Postgres comes back
            if not self._failing:
                log.warning("the request log cannot be written, and waits in memory: %r", e)
            self._failing = True
            return False
        else:
            self._done(sent, written=True)
        if self._failing:
            log.info("the request log is written again")
        self._failing = False
        return True
