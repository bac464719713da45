"""Bounds the samples that all queries of a shard hold in memory together."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

# Seconds that a query waits for others to end. Longer than most queries take, shorter than callers wait.
WAIT_S: Final = 2.0


class TooBusyError(Exception):
    """Other queries hold the memory that a query needs."""

    def __init__(self) -> None:
        super().__init__("Other queries hold as many samples in memory as the server allows. Try again.")


class SampleBudget:
    """The budget of a shard. Used on one event loop; holds also grow in threads."""

    def __init__(self, most: int, wait_s: float = WAIT_S) -> None:
        """Make a budget.

        Args:
            most: samples of all holds.
            wait_s: seconds that `Hold.take` waits for room.
        """
        self.most = most
        self._wait_s = wait_s
        self._held = 0
        self._lock = threading.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def held(self) -> int:
        """Samples that are held now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator["Hold"]:
        """What a query holds, until it ends and its threads have ended."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            hold.let_go()

    def take_now(self, count: int) -> bool:
        """Take samples if there is room."""
        with self._lock:
            if count > 0 and self._held + count > self.most:
                return False
            self._held += count
            return True

    def give_back(self, count: int) -> None:
        """Give samples back; called in any thread."""
        with self._lock:
            self._held -= count
        for each in list(self._waiting):
            each.get_loop().call_soon_threadsafe(_done, each)

    async def take(self, count: int) -> None:
        """Take samples as soon as there is room.

        Raises:
            TooBusyError: there was none in time.
        """
        until = time.monotonic() + self._wait_s
        freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(freed)
        try:
            while not self.take_now(count):
                left = until - time.monotonic()
                if left <= 0:
                    raise TooBusyError
                await asyncio.wait({freed}, timeout=left)
                self._waiting.discard(freed)
                freed = asyncio.get_running_loop().create_future()
                self._waiting.add(freed)
        finally:
            self._waiting.discard(freed)


class Hold:
    """The samples that one query holds; they are given back when nothing uses them."""

    def __init__(self, budget: SampleBudget) -> None:
        self._budget = budget
        self._samples = 0
        self._users = 1
        self._lock = threading.Lock()

    @property
    def samples(self) -> int:
        """That are held."""
        return self._samples

    async def take(self, count: int) -> None:
        """Hold more samples; waits a while for others to end.

        Raises:
            TooBusyError: they did not.
        """
        if count > 0:
            await self._budget.take(count)
            self._samples += count

    def grow_to(self, count: int) -> None:
        """Hold at least so many; called in threads, so it does not wait.

        Raises:
            TooBusyError: there is no room.
        """
        more = count - self._samples
        if more > 0:
            if not self._budget.take_now(more):
                raise TooBusyError
            self._samples += more

    def reduce_to(self, count: int) -> None:
        """Give back what is more than this."""
        less = self._samples - count
        if less > 0:
            self._samples -= less
            self._budget.give_back(less)

    def keep_for(self, work: Future[Any]) -> None:
        """Keep the samples until work in a thread has ended, which goes on when its caller has stopped waiting."""
        with self._lock:
            self._users += 1
        work.add_done_callback(lambda _: self.let_go())

    def let_go(self) -> None:
        """End one use; the last one gives all back."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self.reduce_to(0)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
