"""Whether the watch still reports what the lists show.

A watch can hang, or never start because a login failed, while everything else works: then only sweeps find changes, a
minute late. An object that a list showed and the watch did not report reveals it.
"""

import time
from collections.abc import Callable

from luna_operator.resources.names import Key


class WatchHealth:
    """Compares the versions that the watch reported with those that lists showed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[Key, int] = {}
        self._unheard: dict[Key, tuple[int, float]] = {}

    def heard(self, key: Key, version: str) -> None:
        """The watch reported this version."""
        self._heard[key] = max(int(version), self._heard.get(key, 0))
        if key in self._unheard and self._unheard[key][0] <= self._heard[key]:
            del self._unheard[key]

    def gone(self, key: Key) -> None:
        """The object is deleted."""
        self._heard.pop(key, None)
        self._unheard.pop(key, None)

    def listed(self, key: Key, version: str) -> None:
        """A list showed this version."""
        if self._heard.get(key, 0) < int(version):
            self._unheard.setdefault(key, (int(version), self._clock()))

    def silence_s(self) -> float:
        """Seconds for which a listed version has been missing from the watch; 0 if none is."""
        return max((self._clock() - since for _, since in self._unheard.values()), default=0.0)
