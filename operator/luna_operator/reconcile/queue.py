"""A work queue of keys, after client-go's.

A key waits once however often it is added, is never handled twice at a time, and is handled again if it was added
meanwhile. Delays and retries with exponential backoff are part of it.
"""

import asyncio
import heapq
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from luna_operator.resources.names import Key

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A key whose turn it is."""

    key: Key
    waited_s: float
    """Seconds since it was due; for a key that was added while it was handled, since that ended."""


class WorkQueue:
    """For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready: OrderedDict[Key, float] = OrderedDict()
        self._at_work: set[Key] = set()
        self._again: set[Key] = set()
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._ended: set[Key] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Keys that are ready and wait for a worker."""
        return len(self._ready)

    def begin_look(self) -> None:
        """Somebody begins to look at the accounts; what it sees of one that is handled meanwhile is out of date."""
        self._ended.clear()

    def busy_with(self, key: Key) -> bool:
        """Whether the key waits, has its turn, had it since the look began, or failed at the last one."""
        return any(key in busy for busy in (self._ready, self._at_work, self._ended, self._failures))

    def add(self, key: Key) -> None:
        """Handle the key as soon as a worker is free."""
        self._add(key, self._clock())

    def add_after(self, key: Key, seconds: float) -> None:
        """Handle the key then; of several instants the earliest counts."""
        due = self._clock() + max(0.0, seconds)
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._later, (due, key))
            self._changed.set()

    def retry(self, key: Key) -> float:
        """Handle the key again after a pause that doubles with each failure; returns its seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        # Jitter: after an outage, not everybody at once.
        pause = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 20)) * random.uniform(0.75, 1.25)  # noqa: S311
        self.add_after(key, pause)
        return pause

    def forget_failures(self, key: Key) -> None:
        """The key was handled well: its next failure is its first."""
        self._failures.pop(key, None)

    def drop(self, key: Key) -> None:
        """The key is gone: it is not handled any more."""
        self._ready.pop(key, None)
        self._again.discard(key)
        self._due.pop(key, None)
        self._failures.pop(key, None)

    async def take(self) -> Turn:
        """Wait for a key; `done` must follow."""
        while True:
            pause = self._wake_the_due()
            if self._ready:
                key, since = self._ready.popitem(last=False)
                self._at_work.add(key)
                return Turn(key, self._clock() - since)
            self._changed.clear()
            # Not wait_for: that of Python 3.11 forgets a cancellation that comes together with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    def done(self, key: Key) -> None:
        """The key was handled; if it was added meanwhile, it waits for its next turn."""
        self._at_work.discard(key)
        self._ended.add(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _add(self, key: Key, since: float) -> None:
        if key in self._at_work:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = since
            self._changed.set()

    def _wake_the_due(self) -> float | None:
        """Move what is due to the ready ones; returns the seconds to the next instant, None if there is none."""
        now = self._clock()
        while self._later:
            due, key = self._later[0]
            if self._due.get(key) != due:
                heapq.heappop(self._later)
            elif due <= now:
                heapq.heappop(self._later)
                del self._due[key]
                self._add(key, due)
            else:
                return due - now
        return None
