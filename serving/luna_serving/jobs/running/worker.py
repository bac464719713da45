"""The job worker: claims jobs while it has room, keeps their leases, and ends them."""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.background import Background
from luna_serving.jobs.kinds import JobKind
from luna_serving.jobs.running.attempt import Attempt, Compute, Why
from luna_serving.jobs.running.endings import Endings
from luna_serving.jobs.running.metrics import JobMetrics
from luna_serving.jobs.wake import Heard, Waker, listen
from luna_store.jobs.cancelling import expire_overdue
from luna_store.jobs.claiming import LEASE_S, ClaimedJob, claim
from luna_store.jobs.leases import Beat, beat, hand_back, keep_checkpoint, requeue_lost
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.jobs")

BEAT_S: Final = 1.0
POLL_S: Final = 1.0
TIDY_S: Final = 1.0
# After a wake-up that found nothing: another worker may have held the lane at that instant.
AGAIN_S: Final = 0.05
# Jobs of one account that a worker takes in one turn.
CLAIMED_AT_ONCE: Final = 8
# Seconds for handing jobs back when the worker stops; the leases of the others end by themselves.
HAND_BACK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Worker:
    """What a job worker is made of."""

    name: str
    stores: Background
    leases: AsyncEngine
    """For heartbeats and claims only, so that neither waits for a connection that an ending holds."""
    kinds: Mapping[str, JobKind]
    compute: Compute
    metrics: JobMetrics
    slots: int
    """Jobs at once."""
    lease_s: float = LEASE_S
    """Seconds that a job's lease lasts without a heartbeat."""


class JobWorker:
    """Runs jobs until it is cancelled; then hands back those that it has."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._attempts: dict[uuid.UUID, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waker = Waker(worker.stores.redis)
        self._endings = Endings(worker.stores.engine, self._waker)
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._claim, self._beat, self._tidy, self._endings.run, self._listen):
                    tasks.create_task(work(), name=f"jobs {work.__name__.strip('_')}")
        finally:
            await self._stop()

    async def _listen(self) -> None:
        await listen(self._worker.stores.redis, Heard(wake=self._look.set, cancel=self._cancel))

    def _cancel(self, job_id: uuid.UUID) -> None:
        # One whose work is done is not cancelled any more.
        if (attempt := self._attempts.get(job_id)) is not None and not self._endings.has(job_id):
            attempt.cancel(Why.CANCEL)

    async def _claim(self) -> None:
        worker, kinds = self._worker, list(self._worker.kinds)
        again = False
        while True:
            free = worker.slots - len(self._attempts)
            jobs: list[ClaimedJob] = []
            # Also of a full worker: waiting for an event that is set would never let anything else run.
            self._look.clear()
            if free > 0:
                try:
                    jobs = await claim(
                        worker.leases, worker.name, kinds, min(free, CLAIMED_AT_ONCE), lease_s=worker.lease_s
                    )
                except POSTGRES_GONE as e:
                    log.warning("no jobs can be claimed: %s", e)
            for job in jobs:
                self._begin(job)
            if jobs:
                again = True
                continue
            pause_s = AGAIN_S if again else POLL_S * random.uniform(0.7, 1.0)  # noqa: S311  jitter
            again = False
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._look.wait()
                    again = True

    def _begin(self, job: ClaimedJob) -> None:
        attempt = Attempt(job, self._worker.kinds[job.kind], self._worker.stores, self._worker.compute)
        self._attempts[job.id] = attempt
        self._worker.metrics.began(job)
        attempt.task = asyncio.create_task(self._attempt(attempt), name=f"job {job.id}")
        self._tasks.add(attempt.task)
        attempt.task.add_done_callback(self._tasks.discard)

    async def _attempt(self, attempt: Attempt) -> None:
        job = attempt.job
        try:
            await self._waker.event(job.account_id, job.id)
            ended = await attempt.run()
            if ended is not None:
                committed = await self._endings.end(ended)
                self._worker.metrics.ended(job, ended, time.monotonic() - attempt.begun, committed=committed)
        except asyncio.CancelledError:
            if attempt.why is None:
                raise
        finally:
            if attempt.why is not Why.STOP:
                self._attempts.pop(job.id, None)
            self._look.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            if self._attempts:
                try:
                    async with asyncio.timeout(5 * BEAT_S):
                        await self._beat_once(list(self._attempts.values()))
                except POSTGRES_GONE as e:
                    log.warning("the leases of %d jobs are not renewed: %s", len(self._attempts), e)

    async def _beat_once(self, attempts: list[Attempt]) -> None:
        changed = {a.job.id: a.progress for a in attempts if a.progress != a.progress_sent}
        beats = [Beat(a.job.id, a.job.fence, changed.get(a.job.id)) for a in attempts]
        accounts = {a.job.account_id for a in attempts if a.job.id in changed}
        heard = await beat(self._worker.leases, beats, sorted(accounts), lease_s=self._worker.lease_s)
        for attempt in attempts:
            job = attempt.job
            if job.id not in heard:
                # Unless it has just ended.
                if self._attempts.get(job.id) is attempt and not self._endings.has(job.id):
                    log.warning("job %s is another attempt's now, fence %d", job.id, job.fence)
                    self._worker.metrics.lost(job)
                    attempt.cancel(Why.LOST)
            elif heard[job.id].cancel:
                self._cancel(job.id)
            if job.id in changed:
                attempt.progress_sent = changed[job.id]
                await self._waker.event(job.account_id, job.id)
            await self._keep(attempt)

    async def _keep(self, attempt: Attempt) -> None:
        kept = attempt.kept
        if kept is not None:
            await keep_checkpoint(self._worker.leases, attempt.job.id, attempt.job.fence, kept)
            if attempt.kept is kept:
                attempt.kept = None

    async def _tidy(self) -> None:
        engine = self._worker.leases
        while True:
            await asyncio.sleep(TIDY_S * random.uniform(0.8, 1.2))  # noqa: S311  jitter
            with suppress(*POSTGRES_GONE):
                if await requeue_lost(engine):
                    await self._waker.wake()
                await expire_overdue(engine)

    async def _stop(self) -> None:
        """Stop the attempts and hand their jobs back."""
        attempts = [a for a in self._attempts.values() if not self._endings.has(a.job.id)]
        for attempt in attempts:
            attempt.cancel(Why.STOP)
        with suppress(*POSTGRES_GONE):
            async with asyncio.timeout(HAND_BACK_S):
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=HAND_BACK_S / 2)
                await self._endings.flush()
                for attempt in attempts:
                    await self._keep(attempt)
                    await hand_back(self._worker.leases, attempt.job.account_id, attempt.job.id, attempt.job.fence)
                await self._waker.wake()
