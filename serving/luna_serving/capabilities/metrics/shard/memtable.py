"""Samples of an account in memory: those that are not in chunks yet, and recent ones that are."""

import asyncio
from dataclasses import dataclass
from typing import Final

from luna_serving.capabilities.metrics.shard.runs import Run, merged

# Runs that are merged on the event loop; larger ones in a thread.
INLINE: Final = 32_768


@dataclass(slots=True)
class Layer:
    """Samples of consecutive writes that are or will be in chunks of one generation."""

    generation: int
    """The sequence number of the last write in it."""
    runs: tuple[Run, ...]
    latest_ms: int
    """The largest timestamp."""
    flushed: bool = False

    @property
    def samples(self) -> int:
        """How many there are; of duplicates, those in different runs count."""
        return sum(map(len, self.runs))


class Memtable:
    """Samples that no chunk has yet, as sorted runs, the earliest written first.

    A run is merged with the one before it as soon as it is at least half as long, so there are few of them, and each
    sample is merged a logarithmic number of times (O'Neil et al., "The log-structured merge-tree", 1996).
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._tidying: asyncio.Task[None] | None = None

    @property
    def samples(self) -> int:
        """How many there are; of duplicates, those in different runs count."""
        return sum(map(len, self.runs))

    def add(self, run: Run) -> None:
        """Add samples that were written after all others."""
        self.runs.append(run)
        while len(self.runs) > 1:
            one, two = self.runs[-2:]
            if len(one) > 2 * len(two):
                return
            if len(one) + len(two) > INLINE:
                if self._tidying is None:
                    self._tidying = asyncio.create_task(self._tidy(), name="metrics.tidy")
                return
            self.runs[-2:] = [merged((one, two))]

    async def _tidy(self) -> None:
        """Merge large runs in a thread; new ones may be added at the end meanwhile."""
        try:
            while (place := self._unbalanced()) is not None:
                pair = (self.runs[place], self.runs[place + 1])
                run = await asyncio.to_thread(merged, pair)
                # Small runs may have been merged into the second of the pair meanwhile: then it is merged again.
                if self.runs[place] is pair[0] and self.runs[place + 1] is pair[1]:
                    self.runs[place : place + 2] = [run]
        finally:
            self._tidying = None

    def _unbalanced(self) -> int | None:
        for place in range(len(self.runs) - 2, -1, -1):
            if len(self.runs[place]) <= 2 * len(self.runs[place + 1]):
                return place
        return None
