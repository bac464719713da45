"""The histories and answers that an ingress replica keeps in its own memory: least recently used go first."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from luna_serving.capabilities.indicators.jobs.histories import History

# What an entry costs beside its arrays, about.
OVERHEAD_BYTES: Final = 1_000
# Answers that are kept of one history: of each form and window one.
MOST_ANSWERS: Final = 16
# Seconds between two tries to compute a stale history again, which may fail at once.
RETRY_S: Final = 1.0


@dataclass(slots=True)
class Kept:
    """A history in memory."""

    history: History
    fresh_until: float
    """By the clock of the memory."""
    answers: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    """Rendered answers, by what they depend on."""
    nbytes: int = 0
    tried_at: float = -math.inf
    """When it was last begun to compute it again, by the clock of the memory."""


class Memory:
    """Bounded by bytes. For one event loop."""

    def __init__(self, most_bytes: int, clock: Callable[[], float]) -> None:
        self._most = most_bytes
        self._clock = clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Kept | None:
        """The entry of a key; makes it the most recently used."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def ttl_s(self, kept: Kept) -> float:
        """Seconds that an entry stays fresh; negative if it is stale."""
        return kept.fresh_until - self._clock()

    def due(self, kept: Kept) -> bool:
        """Whether to compute a stale entry again now: once in `RETRY_S`, however many calls find it stale."""
        now = self._clock()
        if now - kept.tried_at < RETRY_S:
            return False
        kept.tried_at = now
        return True

    def put(self, key: str, history: History, ttl_s: float) -> Kept:
        """Keep a history; one that is larger than the whole memory is not kept, and returned all the same."""
        self.drop(key)
        kept = Kept(history, self._clock() + ttl_s, nbytes=history.nbytes + OVERHEAD_BYTES)
        if kept.nbytes <= self._most:
            self._kept[key] = kept
            self.nbytes += kept.nbytes
            self._shrink()
        return kept

    def answer(self, key: str, kept: Kept, of: Hashable, value: Any, nbytes: int) -> None:  # noqa: ANN401  opaque
        """Keep an answer with its history."""
        if nbytes > self._most or self._kept.get(key) is not kept:
            return
        while len(kept.answers) >= MOST_ANSWERS:
            _, (_, freed) = kept.answers.popitem(last=False)
            kept.nbytes -= freed
            self.nbytes -= freed
        kept.answers[of] = value, nbytes
        kept.nbytes += nbytes
        self.nbytes += nbytes
        self._shrink()

    def drop(self, key: str) -> None:
        """Forget an entry."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.nbytes -= kept.nbytes

    def _shrink(self) -> None:
        while self.nbytes > self._most and self._kept:
            _, kept = self._kept.popitem(last=False)
            self.nbytes -= kept.nbytes
