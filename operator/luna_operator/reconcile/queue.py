"""A work queue of keys, after client-go's.

A key that is added several times waits once. It is never handled twice at the same time, and is handled again if it was
added meanwhile. The queue also has delays, and retries with exponential backoff.
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
    """A key that was taken from the queue."""

    key: Key
    waited_s: float
    """Seconds since it was due; for a key that was added while it was handled, since the handling ended."""


class WorkQueue:
    """A queue for one event loop."""

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
        """How many keys are ready and wait for a worker."""
        return len(self._ready)

    def begin_look(self) -> None:
        """Begin a look at the accounts: what it sees of an account that is handled meanwhile is out of date."""
        self._ended.clear()

    def busy_with(self, key: Key) -> bool:
        """Whether the key waits, is being handled, was handled since the look began, or failed at its last turn."""
        return any(key in busy for busy in (self._ready, self._at_work, self._ended, self._failures))

    def add(self, key: Key) -> None:
        """Handle the key as soon as a worker is free."""
        self._add(key, self._clock())

    def add_after(self, key: Key, seconds: float) -> None:
        """Handle the key at an instant; the earliest of several counts."""
        due = self._clock() + max(0.0, seconds)
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._later, (due, key))
            self._changed.set()

    def retry(self, key: Key) -> float:
        """Handle the key again after a pause that doubles with each failure; returns its seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        # Jitter, so that not all keys retry at once after an outage.
        pause = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 20)) * random.uniform(0.75, 1.25)  # noqa: S311
        self.add_after(key, pause)
        return pause

    def forget_failures(self, key: Key) -> None:
        """The key was handled: reset its backoff."""
        self._failures.pop(key, None)

    def drop(self, key: Key) -> None:
        """Remove the key of a deleted object."""
        self._ready.pop(key, None)
        self._again.discard(key)
        self._due.pop(key, None)
        self._failures.pop(key, None)

    async def take(self) -> Turn:
        """Wait for a key; the worker calls `done` after it."""
        while True:
            pause = self._wake_the_due()
            if self._ready:
                key, since = self._ready.popitem(last=False)
                self._at_work.add(key)
                return Turn(key, self._clock() - since)
            self._changed.clear()
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with its result.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    def done(self, key: Key) -> None:
        """End the handling of a key; if it was added meanwhile, it becomes ready again."""
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
        """Move due keys to the ready ones; returns the seconds until the next is due, None if there is none."""
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
