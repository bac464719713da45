"""How long a replica works on jobs: each has seconds from its arrival, and all end once their callers are gone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from luna_serving.engines.statespace.api.description import Clock, never


class Timed(Protocol):
    """A job with a time limit."""

    @property
    def seconds(self) -> float:
        """Seconds from its arrival at the replica until its time is over."""


@dataclass(frozen=True, slots=True)
class TimeAllowed:
    """The time allowed to the jobs of one batch."""

    arrived: float = 0.0
    """When the jobs arrived, by `clock`, in seconds."""
    abandoned: Clock = never
    """Whether no caller waits for any of them. Called on the computing thread."""
    clock: Callable[[], float] = time.monotonic

    def over_for(self, jobs: Sequence[Timed]) -> Clock:
        """A clock for the engine's loops: true once the time of all these jobs, one at least, is over."""
        until = self.arrived + max(job.seconds for job in jobs)
        return lambda: self.abandoned() or self.clock() >= until


NO_DEADLINE: Final = TimeAllowed()
