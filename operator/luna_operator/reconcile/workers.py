"""The loops of the leader: workers on the queue, the sweep, the usage report. They retry without end."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_operator.health import Heartbeats
from luna_operator.kube.client import ApiError, ApiUnavailable
from luna_operator.metrics import Metrics
from luna_operator.reconcile.queue import Turn, WorkQueue
from luna_operator.reconcile.reconciler import NotYet, Reconciler
from luna_operator.reconcile.sweep import Sweep
from luna_operator.reconcile.usage_report import UsageReport
from luna_store.platform.leadership import leadership

log = logging.getLogger("luna.operator")

LOCK = "luna.operator"
STANDBY_S = 2.0
# A blocked account waits for people; it is reconciled now and then, since no watch shows their repair.
OUTAGES = (SQLAlchemyError, RedisError, OSError, ApiError, ApiUnavailable)


class Workers:
    """Runs the loops while this replica leads. Does not own its arguments."""

    def __init__(
        self,
        engine: AsyncEngine,
        queue: WorkQueue,
        reconciler: Reconciler,
        sweep: Sweep,
        usage: UsageReport,
        metrics: Metrics,
        heartbeats: Heartbeats,
        *,
        workers: int,
        sweep_s: float,
        usage_s: float,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._reconciler = reconciler
        self._sweep = sweep
        self._usage = usage
        self._metrics = metrics
        self._heartbeats = heartbeats
        self._workers = workers
        self._sweep_s = sweep_s
        self._usage_s = usage_s

    async def run(self) -> None:
        """Lead or stand by, until cancelled."""
        while True:
            self._heartbeats.beat("leadership")
            answered = False
            try:
                async with leadership(self._engine, LOCK) as connection:
                    answered = True
                    if connection is not None:
                        await self._lead(connection)
            except (SQLAlchemyError, OSError) as e:
                log.warning("Postgres is out of reach, nothing is reconciled: %s", str(e).partition("\n")[0])
                if not answered:
                    # Otherwise only this connection was lost, and another replica may lead by now.
                    await self._reconciler.report_outage(e)
            finally:
                self._metrics.leading(leads=False)
            await asyncio.sleep(STANDBY_S)

    async def _lead(self, connection: AsyncConnection) -> None:
        """Run all loops until the connection that holds the lock is lost."""
        log.info("this replica leads")
        self._metrics.leading(leads=True)
        loops = [
            *(self._work() for _ in range(self._workers)),
            self._every(self._sweep_s, "sweep", self._swept),
            self._every(self._usage_s, "usage", self._usage.run),
        ]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            while not any(task.done() for task in tasks):
                self._heartbeats.beat("leadership")
                await connection.execute(text("SELECT 1"))
                await asyncio.wait(tasks, timeout=STANDBY_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
            # A replica that stands by or waits for Postgres does not sweep: no reason to restart it.
            for name in ("sweep", "usage"):
                self._heartbeats.rest(name)
            log.info("this replica no longer leads")
        for task in tasks:
            # A loop that ended by itself is a bug: raise, so that Kubernetes restarts the pod.
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _work(self) -> None:
        while True:
            turn = await self._queue.take()
            self._metrics.took(turn.waited_s, len(self._queue))
            began = time.perf_counter()
            try:
                result = await self._reconcile(turn)
            finally:
                self._queue.done(turn.key)
            self._metrics.reconciled(result, time.perf_counter() - began)

    async def _reconcile(self, turn: Turn) -> str:
        key = turn.key
        try:
            done = await self._reconciler.reconcile(key)
        except NotYet as e:
            pause = self._queue.retry(key)
            log.info("%s: again in %.1f s: %s", key, pause, e)
            return "retry"
        except Exception:
            # One account that raises must not stop the others; its status stays behind its generation.
            pause = self._queue.retry(key)
            log.exception("%s: again in %.1f s", key, pause)
            return "error"
        if done.blocked:
            self._queue.retry(key)
            return "blocked"
        self._queue.forget_failures(key)
        if done.wake_at is not None:
            self._queue.add_after(key, (done.wake_at - datetime.now(UTC)).total_seconds())
        return "ok"

    async def _every(self, seconds: float, name: str, call: Callable[[], Awaitable[int]]) -> None:
        while True:
            began = time.monotonic()
            try:
                count = await call()
                if count:
                    log.info("%s: %d accounts", name, count)
            except OUTAGES as e:
                log.warning("%s was interrupted: %s", name, str(e).partition("\n")[0])
            self._heartbeats.beat(name)
            await asyncio.sleep(max(0.1, seconds - (time.monotonic() - began)))

    async def _swept(self) -> int:
        began = time.perf_counter()
        found = await self._sweep.run()
        self._metrics.sweep_took(time.perf_counter() - began)
        return found


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all tasks have ended: a wait_for in a library may lose a cancellation."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1.0)
