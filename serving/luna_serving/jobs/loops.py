"""Periodic work, each piece under a lease of its own: it runs on one worker at a time and moves when that one dies."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.metrics import LoopMetrics
from luna_store.platform.leases import Lease, LeaseLost, acquire, release, renew

log = logging.getLogger("luna.loops")

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)

# Its third is the time between renewals: two may fail, and the lease is kept.
LEASE_S = 10.0
# How often a worker asks for a lease that it does not hold: with the lease, how long a killed worker's loop rests.
ASK_EVERY_S = 3.0
# The more loops a worker has, the longer it waits between two attempts, up to so many: a free lease goes rather to a
# worker that has fewer.
UNHURRIED = 3
# A failing loop is tried again after one second, then two, four, at most this.
LONGEST_BACKOFF_S = 300.0
# From so many failures in a row on, the lease is handed back at each: another worker may reach what this one does not.
FAILURES_IN_A_ROW = 3
# A release is a courtesy: without it, the lease ends by itself.
RELEASE_S = 2.0

UNREACHABLE = (SQLAlchemyError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Loop(Generic[P_contra]):
    """Work that is done again and again, on one worker at a time."""

    name: str
    """Unique in the installation: `<capability>.<what>`. Names the lease and labels the metrics."""
    every_s: float
    """Seconds from the end of a run to the next, give or take a tenth. A worker that takes the loop over begins with
    a run, so that runs may also follow each other sooner."""
    run: Callable[[P_contra, Lease], Awaitable[None]]
    """One run. Writes in transactions of `luna_store.platform.leases.fenced`; is cancelled when the lease is lost."""
    timeout_s: float = 300.0
    """A run that takes longer is cancelled and counts as failed."""


class Loops(Generic[P]):
    """Runs the loops of one worker. Owns neither engine nor platform."""

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
        """Prepare the loops.

        Args:
            engine: for the leases alone, so that no renewal waits for a connection that a run has.
            platform: what every run is given.
            loops: which.
            holder: names this worker in the table of leases.
            metrics: what is counted.
            lease_s: seconds that a lease lasts without renewal.
            ask_every_s: seconds between two attempts to get a lease that another worker holds.

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
        """Run until cancelled; then stop the runs under way and release the leases."""
        async with asyncio.TaskGroup() as tasks:
            for loop in self._loops:
                tasks.create_task(self._compete(loop), name=f"loop {loop.name}")

    async def _compete(self, loop: Loop[P]) -> None:
        """Acquire the lease whenever it is free, and run the loop while it is held."""
        failures = _Failures()
        while True:
            patience = min(1 + self._held, UNHURRIED) / UNHURRIED
            await asyncio.sleep(self._ask_every_s * patience * _between(0.5, 1.0))
            try:
                async with asyncio.timeout(self._lease_s):
                    lease = await acquire(self._engine, f"loop:{loop.name}", self._holder, lasts_s=self._lease_s)
            except UNREACHABLE as e:
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
            with suppress(*UNREACHABLE):
                async with asyncio.timeout(RELEASE_S):
                    await release(self._engine, lease)
        if end is _End.LOST:
            self._metrics.lost(loop.name)
            log.warning("loop %s has lost its lease, token %d", loop.name, lease.token)
        return end

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease in time; returns when it is lost, by Postgres' word or for want of it."""
        ends_at = lease.asked_at + lease.lasts_s
        while True:
            await asyncio.sleep(self._lease_s / 3 * _between(0.8, 1.0))
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(ends_at - asked_at):
                    await renew(self._engine, lease)
            except LeaseLost:
                return
            except UNREACHABLE as e:
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
                # Whatever a loop raises concerns that loop only: it is tried again.
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
    """How often a loop has failed on this worker since its last success."""

    in_a_row: int = 0

    @property
    def pause_s(self) -> float:
        return min(2.0 ** max(0, min(self.in_a_row, 20) - 1), LONGEST_BACKOFF_S)


def _end_of(runs: asyncio.Task[_End]) -> _End:
    # A run may have cancelled itself.
    return _End.HANDED_BACK if runs.cancelled() else runs.result()


def _between(low: float, high: float) -> float:
    return random.uniform(low, high)  # noqa: S311  jitter


async def _cancel(task: asyncio.Task[object]) -> None:
    """Cancel a task and wait until it has ended; what it raises on the way has no reader any more."""
    task.cancel()
    await asyncio.wait({task})
