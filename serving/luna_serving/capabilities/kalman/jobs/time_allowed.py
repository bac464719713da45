"""Until when a replica works on jobs: each has seconds from its arrival on, and all end when they are abandoned."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from luna_serving.engines.statespace.process.deadline import Clock, never


class Timed(Protocol):
    """A job."""

    @property
    def seconds(self) -> float:
        """How long it may take, from its arrival at the replica on."""


@dataclass(frozen=True, slots=True)
class TimeAllowed:
    """For the jobs of one batch."""

    arrived: float = 0.0
    """When they came, by `clock`."""
    abandoned: Clock = never
    """Whether nobody waits for any of them any more. Asked on the computing thread."""
    clock: Callable[[], float] = time.monotonic

    def over_for(self, jobs: Sequence[Timed]) -> Clock:
        """Whether the time of all these jobs is over, as the engine's loops ask; of one job at least."""
        until = self.arrived + max(job.seconds for job in jobs)
        return lambda: self.abandoned() or self.clock() >= until
