"""How many workers there should be: enough slots for the jobs that could run now.

Ray Serve's controller asks the policy; the replicas tell it the demand, which they read in Postgres. The module imports
nothing of Luna's, for the controller loads it.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

DEMAND: Final = "jobs_demand"


class Context(Protocol):
    """What the policy reads of Ray Serve's `AutoscalingContext`."""

    @property
    def target_num_replicas(self) -> int:
        """Replicas that there should be by the last decision."""

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]]:
        """By metric and replica, the mean over the period that is looked back at."""


def replicas_for(demand: float, slots: int) -> int:
    """Workers that have a slot for each job."""
    # A mean over seconds may be a little above a whole number.
    return math.ceil(demand / slots - 1e-6)


class BacklogPolicy:
    """Ray Serve's policy of the workers; Serve keeps its answer within the bounds and waits before it follows it."""

    def __init__(self, slots: int) -> None:
        """Make it in the controller.

        Args:
            slots: jobs that a worker runs at once.
        """
        self._slots = slots

    def __call__(self, context: Context) -> tuple[int, dict[str, Any]]:
        """The number of replicas, and no state."""
        told = context.aggregated_metrics.get(DEMAND, {}).values()
        if not told:
            # No replica has reached Postgres lately: nothing is known, so nothing changes.
            return context.target_num_replicas, {}
        # All of them read the same queue, at different times.
        return replicas_for(max(told), self._slots), {}
