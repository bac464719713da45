"""One timer for all sockets of a process: a wheel of ticks, each with what is due in it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TICK_S: Final = 0.02
# Callbacks in one go; other work of the event loop runs between two goes.
TOGETHER: Final = 32


class Wheel(Generic[T]):
    """Calls back at times that are rounded up to ticks. Costs nothing while nothing is scheduled."""

    def __init__(self, due: Callable[[T], None], *, tick_s: float = TICK_S) -> None:
        """Make it.

        Args:
            due: called with each item at its time; must not block or raise.
            tick_s: seconds of a tick.
        """
        self._due = due
        self._tick_s = tick_s
        self._slots: dict[int, list[T]] = {}
        self._turned_to = 0
        self._some = asyncio.Event()

    def schedule(self, item: T, at: float) -> None:
        """Have an item called at a time of `time.monotonic`; as soon as possible if that is over."""
        if not self._slots:
            self._turned_to = int(time.monotonic() / self._tick_s)
            self._some.set()
        tick = max(self._turned_to + 1, int(at / self._tick_s) + 1)
        self._slots.setdefault(tick, []).append(item)

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            await self._some.wait()
            while self._slots:
                await asyncio.sleep((self._turned_to + 1) * self._tick_s - time.monotonic())
                now = int(time.monotonic() / self._tick_s)
                while self._turned_to < now:
                    self._turned_to += 1
                    await self._call(self._slots.pop(self._turned_to, ()))
            self._some.clear()

    async def _call(self, items: "list[T] | tuple[()]") -> None:
        for first in range(0, len(items), TOGETHER):
            for each in items[first : first + TOGETHER]:
                self._due(each)
            await asyncio.sleep(0)
