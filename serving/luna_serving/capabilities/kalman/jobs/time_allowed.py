"""Time limits of jobs in a replica: seconds from arrival, or until no caller waits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from luna_serving.engines.statespace.api.description import Clock, never


class Timed(Protocol):
    """A job with a time limit."""

    @property
    def seconds(self) -> float:
        """Seconds from its arrival at the replica to its deadline."""


@dataclass(frozen=True, slots=True)
class TimeAllowed:
    """The time limits of the jobs of one batch."""

    arrived: float = 0.0
    """When the jobs arrived, by `clock`, in seconds."""
    abandoned: Clock = never
    """Whether no caller waits for any job. Called on the computing thread."""
    clock: Callable[[], float] = time.monotonic

    def over_for(self, jobs: Sequence[Timed]) -> Clock:
        """A check for the engine's loops: true once all these jobs, at least one, are past their deadlines."""
        until = self.arrived + max(job.seconds for job in jobs)
        return lambda: self.abandoned() or self.clock() >= until


NO_DEADLINE: Final = TimeAllowed()
