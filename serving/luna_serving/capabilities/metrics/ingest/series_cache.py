"""Remembers the keys of series that were valid before, by how a protocol spells them."""

from collections.abc import Hashable
from typing import Final

# 0.4 kB each with short labels in remote write, up to 4 kB: 40 MB as a rule.
CAPACITY: Final = 100_000
# Longer ones are rare, and would let one account fill the memory.
MAX_KEY_BYTES: Final = 1_024


class Known(dict[Hashable, bytes]):
    """Keys by spelling. Only valid series are in it, so a hit needs no further check."""

    def remember(self, spelling: Hashable, key: bytes) -> None:
        """Add a series, unless it is a long one."""
        if len(key) <= MAX_KEY_BYTES:
            self[spelling] = key


class SeriesCache:
    """Keys of about `capacity` series; for one protocol, because spellings differ. Threads may share it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        # By the limit of labels that a key was checked against, which differs between accounts.
        self._keys: dict[int, Known] = {}

    def under(self, max_labels: int) -> Known:
        """The keys that were checked against this limit, for one request."""
        # All of them go at once when it is full: that costs one slow request, and a hit needs no bookkeeping.
        if sum(map(len, list(self._keys.values()))) >= self._capacity:
            self._keys = {}
        return self._keys.setdefault(max_labels, Known())
