"""Liveness: every loop beats, and the probe fails when one stops beating.

A restart does not help a pod that cannot reach Postgres, so a loop also beats after a failed round.
"""

import time
from collections.abc import Callable


class Stalled(Exception):
    """A loop has not beaten for too long; Kubernetes restarts the pod."""


class Heartbeats:
    """The last beats of the loops, by name."""

    def __init__(self, limits: dict[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._beats: dict[str, float] = {}

    def beat(self, name: str) -> None:
        """Record that the loop finished a round."""
        self._beats[name] = self._clock()

    def rest(self, name: str) -> None:
        """Record that the loop was stopped on purpose."""
        self._beats.pop(name, None)

    def check(self) -> dict[str, float]:
        """Seconds since the last beat of every loop that runs.

        Raises:
            Stalled: one of them is over its limit.
        """
        ages = {name: self._clock() - beat for name, beat in self._beats.items()}
        for name, age in ages.items():
            if age > self._limits.get(name, float("inf")):
                raise Stalled(f"The {name} loop was last seen {age:.0f} s ago.")
        return {name: round(age, 1) for name, age in ages.items()}
