"""The addresses that this process knows to be blocked, so that a flood costs no round trip each."""

from collections.abc import Callable
from typing import Final

# Addresses in memory, about 150 bytes each.
MAX_BLOCKS: Final = 10_000


class Blocks:
    """When the blocks of addresses end."""

    def __init__(self, clock: Callable[[], float], most: int = MAX_BLOCKS) -> None:
        self._clock = clock
        self._most = most
        self._until: dict[str, float] = {}
        self._latest = float("-inf")

    def any(self) -> bool:
        """Whether a block may be in force."""
        return self._clock() < self._latest

    def left_s(self, name: str) -> float:
        """Seconds until the block ends; 0 where none is known."""
        until = self._until.get(name)
        if until is None:
            return 0.0
        left = until - self._clock()
        if left <= 0:
            del self._until[name]
        return max(0.0, left)

    def add(self, name: str, seconds: float) -> None:
        """Keep a block of so many seconds."""
        now = self._clock()
        if len(self._until) >= self._most:
            self._until = {n: until for n, until in self._until.items() if until > now}
        if len(self._until) >= self._most:
            del self._until[next(iter(self._until))]  # the oldest
        self._until[name] = now + seconds
        self._latest = max(self._latest, now + seconds)
