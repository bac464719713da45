"""Notices changes of jobs in an ingress replica: by Redis at once, by Postgres once a second.

One connection to Redis and one query a second serve all watchers of the replica, however many they are.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.jobs.wake import Heard, listen
from luna_store.jobs.events import newest_events
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.jobs")

POLL_S: Final = 1.0


class WatchMetrics:
    """What an ingress replica counts of its watchers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.watchers = Gauge(
            "luna_jobs_watchers",
            "Callers that wait for changes of jobs: event streams, and calls with `Prefer: wait`.",
            registry=registry,
        )


@dataclass(eq=False, slots=True)
class Watcher:
    """Waits for changes of an account's jobs, or of one of them. It may be woken when nothing has changed."""

    account_id: int
    job_id: uuid.UUID | None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int = -1
    """The newest event of the account at the last look at Postgres."""

    async def wait(self, seconds: float) -> bool:
        """Wait for a change since the last call; False if none came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        changed = self.changed.is_set()
        self.changed.clear()
        return changed


class Watching:
    """The watchers of an ingress replica."""

    def __init__(self, engine: AsyncEngine, redis: Redis, metrics: WatchMetrics, *, poll_s: float = POLL_S) -> None:
        self._engine = engine
        self._redis = redis
        self._metrics = metrics
        self._poll_s = poll_s
        self._watchers: dict[int, set[Watcher]] = {}
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    @property
    def watchers(self) -> int:
        """How many there are."""
        return sum(map(len, self._watchers.values()))

    def of_account(self, account_id: int) -> int:
        """How many an account has."""
        return len(self._watchers.get(account_id, ()))

    @contextmanager
    def watch(self, account_id: int, job_id: uuid.UUID | None = None) -> Iterator[Watcher]:
        """Watch an account's jobs, or one of them. Look at the store after this: earlier changes wake nobody."""
        watcher = Watcher(account_id, job_id)
        self._watchers.setdefault(account_id, set()).add(watcher)
        self._metrics.watchers.inc()
        self._start()
        try:
            yield watcher
        finally:
            self._metrics.watchers.dec()
            others = self._watchers[account_id]
            others.discard(watcher)
            if not others:
                del self._watchers[account_id]

    async def close(self) -> None:
        """Stop; called when the replica stops."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = ()

    def _start(self) -> None:
        # With the first watcher: a replica that nobody asks for changes listens to none.
        if not self._tasks:
            heard = Heard(event=self._heard)
            self._tasks = (
                asyncio.create_task(listen(self._redis, heard), name="job events from Redis"),
                asyncio.create_task(self._poll(), name="job events from Postgres"),
            )

    def _heard(self, account_id: int, job_id: uuid.UUID) -> None:
        for watcher in self._watchers.get(account_id, ()):
            if watcher.job_id is None or watcher.job_id == job_id:
                watcher.changed.set()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            if self._watchers:
                try:
                    newest = await newest_events(self._engine, list(self._watchers))
                except POSTGRES_GONE as e:
                    log.warning("watchers of jobs hear nothing from Postgres: %s", e)
                    continue
                self._noticed(newest)

    def _noticed(self, newest: dict[int, int]) -> None:
        for account_id, event in newest.items():
            for watcher in self._watchers.get(account_id, ()):
                if watcher.seen < event:
                    watcher.seen = event
                    watcher.changed.set()
