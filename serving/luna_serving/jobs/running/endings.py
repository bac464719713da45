"""Ends jobs in the store, those that end at about the same time in one transaction."""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.wake import Waker
from luna_store.jobs.ending import Ended, end

log = logging.getLogger("luna.jobs")

AT_ONCE: Final = 32
RETRY_S: Final = 0.5
# What may pass by itself: a server that is gone, starts, or stands by; a deadlock.
OUTAGES: Final = (OperationalError, InterfaceError, InternalError, PoolTimeout, OSError, TimeoutError)


class Endings:
    """Commits endings, and tries again while Postgres is gone: the fence decides whether they still count."""

    def __init__(self, engine: AsyncEngine, waker: Waker) -> None:
        self._engine = engine
        self._waker = waker
        self._waiting: dict[uuid.UUID, tuple[Ended, asyncio.Future[bool]]] = {}
        self._some = asyncio.Event()

    def has(self, job_id: uuid.UUID) -> bool:
        """Whether the job's ending is not committed yet."""
        return job_id in self._waiting

    async def end(self, ended: Ended) -> bool:
        """End a job; returns whether it was still this attempt's."""
        committed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[ended.job_id] = (ended, committed)
        self._some.set()
        return await committed

    async def run(self) -> None:
        """Commit what comes, until cancelled."""
        while True:
            await self._some.wait()
            await self.flush()

    async def flush(self) -> None:
        """Commit all that waits."""
        while self._waiting:
            batch = [ended for ended, _ in list(self._waiting.values())[:AT_ONCE]]
            try:
                await self._commit(batch)
            except OUTAGES as e:
                log.warning("%d jobs cannot be ended: %s", len(batch), e)
                await asyncio.sleep(RETRY_S)
            except Exception:
                # One that Postgres refuses must not hold up the others.
                log.exception("jobs could not be ended together")
                for ended in batch:
                    await self._alone(ended)
        self._some.clear()

    async def _alone(self, ended: Ended) -> None:
        try:
            await self._commit([ended])
        except OUTAGES as e:
            log.warning("job %s cannot be ended yet: %s", ended.job_id, e)
        except Exception:
            log.exception("job %s cannot be ended; its lease ends instead", ended.job_id)
            self._settle(ended.job_id, committed=False)

    async def _commit(self, batch: Sequence[Ended]) -> None:
        mine = await end(self._engine, batch)
        for ended in batch:
            self._settle(ended.job_id, committed=ended.job_id in mine)
        for ended in batch:
            if ended.job_id in mine:
                await self._waker.event(ended.account_id, ended.job_id)

    def _settle(self, job_id: uuid.UUID, *, committed: bool) -> None:
        _, future = self._waiting.pop(job_id)
        if not future.done():
            future.set_result(committed)
