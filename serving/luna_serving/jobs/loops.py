"""Periodic work under leases: each loop runs on one worker at a time and moves if that worker dies."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.metrics import LoopMetrics
from luna_store.platform.leases import Lease, LeaseLost, acquire, release, renew
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.loops")

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)

# Seconds of a lease. Renewals follow at a third of it, so the lease survives two that fail.
LEASE_S = 10.0
# Seconds between attempts to acquire a lease. The loop of a killed worker rests for at most this plus the lease.
ASK_EVERY_S = 3.0
# A worker that holds more loops, up to this many, waits longer between attempts: a free lease tends to go to a worker
# with fewer loops.
UNHURRIED = 3
# A failing loop is retried after one second, then two, four, at most this.
LONGEST_BACKOFF_S = 300.0
# From this many consecutive failures on, each one releases the lease: the loop may succeed on another worker.
FAILURES_IN_A_ROW = 3
# Seconds for a release. Without a release, the lease expires.
RELEASE_S = 2.0


@dataclass(frozen=True, slots=True)
class Loop(Generic[P_contra]):
    """Periodic work, on one worker at a time."""

    name: str
    """Unique in the installation: `<capability>.<what>`. Names the lease and labels the metrics."""
    every_s: float
    """Seconds from the end of a run to the next, plus or minus a tenth. A worker that takes over the loop begins with a
    run, so runs may also follow sooner."""
    run: Callable[[P_contra, Lease], Awaitable[None]]
    """One run. It writes in transactions of `luna_store.platform.leases.fenced`; a lost lease cancels it."""
    timeout_s: float = 300.0
    """Longest run in seconds; a longer one is cancelled and counts as failed."""
    released: Callable[[], None] = lambda: None
    """Called when the worker holds the lease no longer, by its will or not: the loop shows nothing more."""


class Loops(Generic[P]):
    """Runs the loops of one worker. Does not own the engine or the platform."""

    def __init__(
        self,
        engine: AsyncEngine,
        platform: P,
        loops: Sequence[Loop[P]],
        *,
        holder: str,
        metrics: LoopMetrics,
        lease_s: float = LEASE_S,
        ask_every_s: float = ASK_EVERY_S,
    ) -> None:
        """Wire the loops.

        Args:
            engine: for leases only, so that no renewal waits for a connection that a run holds.
            platform: the argument of every run.
            loops: the loops to run.
            holder: the name of this worker in the table of leases.
            metrics: counts runs and leases.
            lease_s: seconds that a lease lasts without renewal.
            ask_every_s: seconds between attempts to acquire a lease that another worker holds.

        Raises:
            ValueError: two loops have the same name.
        """
        names = [loop.name for loop in loops]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"Loops need different names; more than one is called {', '.join(twice)}.")
        self._engine = engine
        self._platform = platform
        self._loops = tuple(loops)
        self._holder = holder
        self._metrics = metrics
        self._lease_s = lease_s
        self._ask_every_s = ask_every_s
        self._held = 0
        for name in names:
            metrics.prepare(name)

    async def run(self) -> None:
        """Run until cancelled; then stop current runs and release the leases."""
        async with asyncio.TaskGroup() as tasks:
            for loop in self._loops:
                tasks.create_task(self._compete(loop), name=f"loop {loop.name}")

    async def _compete(self, loop: Loop[P]) -> None:
        """Acquire the lease when it is free, and run the loop while it is held."""
        failures = _Failures()
        while True:
            stretch = min(1 + self._held, UNHURRIED) / UNHURRIED
            await asyncio.sleep(self._ask_every_s * stretch * _between(0.5, 1.0))
            try:
                async with asyncio.timeout(self._lease_s):
                    lease = await acquire(self._engine, f"loop:{loop.name}", self._holder, lasts_s=self._lease_s)
            except POSTGRES_GONE as e:
                log.warning("loop %s cannot ask for its lease: %s", loop.name, e)
                continue
            if lease is None:
                continue
            if await self._hold(loop, lease, failures) is _End.HANDED_BACK:
                await asyncio.sleep(failures.pause_s * _between(0.5, 1.0))

    async def _hold(self, loop: Loop[P], lease: Lease, failures: "_Failures") -> "_End":
        """Run the loop while the lease is held."""
        log.info("loop %s runs here, lease token %d", loop.name, lease.token)
        self._held += 1
        self._metrics.held(loop.name, loop.every_s)
        runs = asyncio.create_task(self._run_again_and_again(loop, lease, failures), name=f"runs of {loop.name}")
        kept = asyncio.create_task(self._keep(lease), name=f"lease of {loop.name}")
        try:
            await asyncio.wait({runs, kept}, return_when=asyncio.FIRST_COMPLETED)
            end = _End.LOST if kept.done() else _end_of(runs)
        finally:
            # The run ends before the lease is released, so that two never overlap.
            await _cancel(runs)
            await _cancel(kept)
            self._held -= 1
            self._metrics.free(loop.name)
            loop.released()
            with suppress(*POSTGRES_GONE):
                async with asyncio.timeout(RELEASE_S):
                    await release(self._engine, lease)
        if end is _End.LOST:
            self._metrics.lost(loop.name)
            log.warning("loop %s has lost its lease, token %d", loop.name, lease.token)
        return end

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease in time; returns when it is lost, or when Postgres did not confirm it in time."""
        ends_at = lease.asked_at + lease.lasts_s
        while True:
            await asyncio.sleep(self._lease_s / 3 * _between(0.8, 1.0))
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(ends_at - asked_at):
                    await renew(self._engine, lease)
            except LeaseLost:
                return
            except POSTGRES_GONE as e:
                log.warning("the lease %s is not renewed: %s", lease.name, e)
                if time.monotonic() >= ends_at:
                    return
            else:
                ends_at = asked_at + lease.lasts_s

    async def _run_again_and_again(self, loop: Loop[P], lease: Lease, failures: "_Failures") -> "_End":
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(loop.timeout_s):
                    await loop.run(self._platform, lease)
            except LeaseLost:
                return _End.LOST
            except Exception:
                # An error concerns this loop only: it is retried.
                failures.in_a_row += 1
                self._metrics.failed(loop.name)
                log.exception("loop %s failed, %d times in a row", loop.name, failures.in_a_row)
                if failures.in_a_row >= FAILURES_IN_A_ROW:
                    return _End.HANDED_BACK
                pause_s = failures.pause_s
            else:
                failures.in_a_row = 0
                self._metrics.succeeded(loop.name)
                pause_s = loop.every_s
            finally:
                self._metrics.ran(loop.name, time.monotonic() - began)
            await asyncio.sleep(pause_s * _between(0.9, 1.1))


class _End(Enum):
    """Why a worker no longer holds a lease."""

    LOST = auto()
    HANDED_BACK = auto()


@dataclass(slots=True)
class _Failures:
    """Counts the failures of a loop on this worker since its last success."""

    in_a_row: int = 0

    @property
    def pause_s(self) -> float:
        return min(2.0 ** max(0, min(self.in_a_row, 20) - 1), LONGEST_BACKOFF_S)


def _end_of(runs: asyncio.Task[_End]) -> _End:
    # The run may have cancelled itself.
    return _End.HANDED_BACK if runs.cancelled() else runs.result()


def _between(low: float, high: float) -> float:
    return random.uniform(low, high)  # noqa: S311  jitter


async def _cancel(task: asyncio.Task[object]) -> None:
    """Cancel a task and wait until it has ended; ignores its errors."""
    task.cancel()
    await asyncio.wait({task})
