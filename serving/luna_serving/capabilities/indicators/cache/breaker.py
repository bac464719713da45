"""A circuit breaker: after a few failures in a row a dependency is left alone for a while."""

from collections.abc import Callable


class Breaker:
    """Open after `failures` failures in a row, for `open_s` seconds; then one trial at a time decides."""

    def __init__(self, *, failures: int, open_s: float, clock: Callable[[], float]) -> None:
        self._most = failures
        self._open_s = open_s
        self._clock = clock
        self._failed = 0
        self._until = 0.0

    def admits(self) -> bool:
        """Whether the dependency may be asked. Once the time is over, the first caller is the trial."""
        if self._failed < self._most:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._open_s
        return True

    @property
    def is_open(self) -> bool:
        """Whether the dependency is left alone."""
        return self._failed >= self._most

    def succeeded(self) -> None:
        """The dependency answered."""
        self._failed = 0

    def failed(self) -> None:
        """The dependency did not answer, or with an error."""
        self._failed += 1
        if self._failed >= self._most:
            self._until = self._clock() + self._open_s
