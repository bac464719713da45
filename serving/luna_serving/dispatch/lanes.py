"""Combines several gates, so that quick calls never wait in a batch with slow ones."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from luna_serving.dispatch.call import Call
from luna_store.quota.debits import Decision


class Gateway(Protocol):
    """Admits and computes calls; see `Gate.serve`."""

    async def serve(self, call: Call, left_s: float, asked_s: float) -> tuple[Any, Decision]:
        """Admit and compute a call."""


class Lanes:
    """Sends each call to the gate of its lane."""

    def __init__(self, gates: Mapping[str, Gateway], lane_of: Callable[[Any], str]) -> None:
        """Wire the lanes.

        Args:
            gates: by lane.
            lane_of: the lane of a job.
        """
        self._gates = gates
        self._lane_of = lane_of

    async def serve(self, call: Call, left_s: float, asked_s: float) -> tuple[Any, Decision]:
        """Admit and compute a call; as `Gate.serve`."""
        return await self._gates[self._lane_of(call.job)].serve(call, left_s, asked_s)
